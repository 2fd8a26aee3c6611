import { connect, parseConnectionUrl } from "@datatrace/postgres";
import { Secret } from "@datatrace/core";
import type { Position } from "@datatrace/core";
import { availablePostgres, startPostgres, waitFor } from "@datatrace/testkit";
import type { PostgresServer } from "@datatrace/testkit";
import { CaptureReader, captureDeadlineMs, eventsOf, rowText, startCapture } from "@datatrace/testkit/suites";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { PostgresBed } from "./postgres-bed.ts";

const signal = (): AbortSignal => AbortSignal.timeout(captureDeadlineMs);

describe.each(await availablePostgres())("PostgreSQL %i: what a slot keeps", (major) => {
  let server: PostgresServer;

  beforeAll(async () => {
    server = await startPostgres({ major, settings: { max_slot_wal_keep_size: "1MB", wal_sender_timeout: "3s" } });
  });

  afterAll(async () => {
    await server[Symbol.asyncDispose]();
  });

  test("a slot whose WAL was removed is a `source.history_lost`", async () => {
    await using bed = await PostgresBed.make(server);
    await using user = await bed.connect();
    await user.run("CREATE TABLE items (id integer PRIMARY KEY)");
    await using source = bed.openSource();
    const { position, schemas } = await startCapture(source, [bed.nameOf("items")]);
    await waitFor(
      async () => {
        await user.run("CREATE TABLE filler AS SELECT generate_series(1, 10000)");
        await user.run("DROP TABLE filler");
        await user.run("SELECT pg_switch_wal()");
        await user.run("CHECKPOINT");
        const [slot] = await bed.query<{ wal_status: string }>(
          `SELECT wal_status FROM pg_replication_slots WHERE database = '${bed.database}'`,
        );
        return slot?.wal_status === "lost";
      },
      { deadlineMs: captureDeadlineMs, what: "the server to give up the slot" },
    );
    await using reader = new CaptureReader(source, position, schemas);
    expect(await reader.next().catch((reason: unknown) => reason)).toMatchObject({ code: "source.history_lost" });
  });

  test("a position beyond the end of the WAL is a `source.history_lost`", async () => {
    await using bed = await PostgresBed.make(server);
    await using user = await bed.connect();
    await user.run("CREATE TABLE items (id integer PRIMARY KEY)");
    await using source = bed.openSource();
    const { schemas } = await startCapture(source, [bed.nameOf("items")]);
    await using reader = new CaptureReader(source, "FFFF/0" as Position, schemas);
    expect(await reader.next().catch((reason: unknown) => reason)).toMatchObject({ code: "source.history_lost" });
  });

  test("a slot of another plugin or database is not taken for ours", async () => {
    await using bed = await PostgresBed.make(server);
    await using source = bed.openSource();
    await source.publish([], signal());
    const slot = `datatrace_${bed.captureId()}`;
    const [made] = await bed.query<{ lsn: string }>(
      `SELECT lsn::text FROM pg_create_logical_replication_slot('${slot}', 'test_decoding')`,
    );
    await using reader = new CaptureReader(source, made?.lsn as Position);
    expect(await reader.next().catch((reason: unknown) => reason)).toMatchObject({ code: "source.history_lost" });
  });

  // The server's patience is 3 s; a longer one makes our own status messages so rare that a timer of the replication
  // library, which acknowledges what it has received, would come first if it ran.
  test.each([
    ["3s", 6],
    ["60s", 9],
  ] as const)(
    "I1: a server with wal_sender_timeout = %s is answered in time while nothing is stored, and nothing is acknowledged",
    { timeout: 60_000 },
    async (patience, seconds) => {
      await using bed = await PostgresBed.make(server);
      await using user = await bed.connect();
      await user.run("CREATE TABLE items (id integer PRIMARY KEY)");
      const url = new URL(bed.url);
      url.searchParams.set("options", `-c wal_sender_timeout=${patience}`);
      await using source = bed.openSource({}, url.href);
      const { position, schemas } = await startCapture(source, [bed.nameOf("items")]);
      await using reader = new CaptureReader(source, position, schemas);
      await user.run("INSERT INTO items VALUES (1)");
      expect(eventsOf(await reader.until(({ events }) => events.length > 0))).toHaveLength(3);
      // Nobody pulls, nobody acknowledges.
      await waitFor(
        async () => {
          const [sender] = await bed.query<{ age: number }>(
            `SELECT extract(epoch FROM clock_timestamp() - s.backend_start)::float8 AS age FROM pg_stat_replication s
             JOIN pg_replication_slots r ON r.active_pid = s.pid WHERE r.database = '${bed.database}'`,
          );
          expect(sender).toBeDefined();
          return (sender?.age ?? 0) > seconds;
        },
        { deadlineMs: captureDeadlineMs, what: "the connection to have lasted", intervalMs: 200 },
      );
      expect((await source.stream(signal())).acknowledged).toBe(position);
      await source.writeWatermark("end", signal());
      expect(eventsOf(await reader.untilWatermark("end")).length).toBeGreaterThan(0);
    },
  );

  test("a stream that is not pulled stops reading: the server keeps the rest", async () => {
    await using bed = await PostgresBed.make(server);
    await using user = await bed.connect();
    await user.run("ALTER SYSTEM SET max_slot_wal_keep_size = '10GB'");
    await user.run("SELECT pg_reload_conf()");
    await user.run("CREATE TABLE items (id integer PRIMARY KEY, body text)");
    await using source = bed.openSource({ tuning: { maxBytes: 256 * 1024 } });
    const { position, schemas } = await startCapture(source, [bed.nameOf("items")]);
    const count = 40_000;
    await user.run(`INSERT INTO items SELECT id, repeat(md5(id::text), 32) FROM generate_series(1, ${count}) id`);
    await using reader = new CaptureReader(source, position, schemas);
    const first = await reader.next();
    // The server wants to write, and cannot: the socket is not read. Only pulling lets it go on. Meanwhile it is told
    // that we live, or it would end the connection after 3 s.
    const sender = async (): Promise<{ readonly state: string | null; readonly age: number }> => {
      const [found] = await bed.query<{ state: string | null; age: number }>(
        `SELECT a.wait_event AS state, extract(epoch FROM clock_timestamp() - a.backend_start)::float8 AS age
         FROM pg_stat_activity a JOIN pg_replication_slots r ON r.active_pid = a.pid WHERE r.database = '${bed.database}'`,
      );
      return found ?? { state: "gone", age: 0 };
    };
    await waitFor(async () => (await sender()).state === "WalSenderWriteData", {
      deadlineMs: captureDeadlineMs,
      what: "the server to wait for its socket",
    });
    await waitFor(
      async () => {
        const { state, age } = await sender();
        expect(state).toBe("WalSenderWriteData");
        return age > 8;
      },
      { deadlineMs: captureDeadlineMs, what: "time to pass", intervalMs: 200 },
    );
    let rows = first.events.filter((event) => event.kind === "insert").length;
    let bytes = first.sizeBytes;
    let largest = first.sizeBytes;
    while (rows < count) {
      const batch = await reader.next();
      rows += batch.events.filter((event) => event.kind === "insert").length;
      bytes += batch.sizeBytes;
      largest = Math.max(largest, batch.sizeBytes);
    }
    expect(rows).toBe(count);
    expect(bytes).toBeGreaterThan(count * 1024);
    expect(largest).toBeLessThan(300 * 1024);
  });

  test("I7: after the server was killed the stream goes on from the stored position", { timeout: 60_000 }, async () => {
    await using bed = await PostgresBed.make(server);
    await using source = bed.openSource();
    let position: Position;
    {
      await using user = await bed.connect();
      await user.run("CREATE TABLE items (id integer PRIMARY KEY)");
      const start = await startCapture(source, [bed.nameOf("items")]);
      position = start.position;
      await using reader = new CaptureReader(source, position, start.schemas);
      await user.run("INSERT INTO items VALUES (1)");
      position = (await reader.until(({ events }) => events.length > 0)).at(-1)?.position ?? position;
      const next = reader.next().catch((reason: unknown) => reason);
      await server.kill();
      expect(await next).toMatchObject({ code: "source.connection_lost" });
      const down = await source.head(signal()).catch((reason: unknown) => reason);
      expect(down).toMatchObject({ code: "source.connection_lost", retry: "timed" });
      await server.start();
    }
    const session = await waitFor(
      async () => {
        try {
          return await connect(parseConnectionUrl(new Secret(bed.url)), { applicationName: "user" });
        } catch {
          return null;
        }
      },
      { deadlineMs: captureDeadlineMs, what: "the server" },
    );
    await session.query("INSERT INTO items VALUES (2)");
    await session.end();
    await using reader = new CaptureReader(source, position);
    const events = eventsOf(await reader.until(({ events: some }) => some.length > 0));
    expect(events.flatMap((event) => (event.kind === "insert" ? [rowText(event.after)] : []))).toEqual(["2"]);
  });
});
