import type { Position, TableSchema } from "@datatrace/core";
import { TcpProxy, availablePostgres, startPostgres, waitFor } from "@datatrace/testkit";
import type { PostgresServer } from "@datatrace/testkit";
import { CaptureReader, captureDeadlineMs, eventsOf, rowText, startCapture } from "@datatrace/testkit/suites";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { PostgresBed } from "./postgres-bed.ts";

const signal = (): AbortSignal => AbortSignal.timeout(captureDeadlineMs);

describe.each(await availablePostgres())("PostgreSQL %i behind a network that breaks", (major) => {
  let server: PostgresServer;

  beforeAll(async () => {
    server = await startPostgres({ major });
  });

  afterAll(async () => {
    await server[Symbol.asyncDispose]();
  });

  test(
    "I7: connections that are cut after any number of bytes lose nothing and repeat nothing",
    { timeout: 90_000 },
    async () => {
      await using bed = await PostgresBed.make(server);
      await using user = await bed.connect();
      await using proxy = await TcpProxy.start(server.port);
      await user.run("CREATE TABLE items (id integer PRIMARY KEY, body text)");
      await using source = bed.openSource({ tuning: { maxEvents: 40 } }, proxy.through(bed.url));
      const start = await startCapture(source, [bed.nameOf("items")]);
      const count = 3_000;
      // Small transactions and one that spans many batches.
      await user.run(`INSERT INTO items SELECT n, md5(n::text) FROM generate_series(1, 2000) n`);
      for (let id = 2_001; id <= count; id += 50) {
        await user.run(`INSERT INTO items SELECT n, md5(n::text) FROM generate_series(${id}, ${id + 49}) n`);
      }
      await source.writeWatermark("end", signal());
      let position: Position = start.position;
      const ids: number[] = [];
      const errors: unknown[] = [];
      let done = false;
      while (!done) {
        // Another odd place each time, from the handshake to the middle of a row.
        const planned = errors.length < 12 ? proxy.cutAfter("to-client", 700 + errors.length * 9_973) : null;
        const reader = new CaptureReader(source, position, start.schemas);
        try {
          while (!done) {
            const batch = await reader.next();
            for (const event of batch.events) {
              if (event.kind === "insert") ids.push(Number(event.after[0]));
              done ||= event.kind === "watermark";
            }
            ({ position } = batch);
            source.acknowledge(position);
          }
        } catch (error) {
          errors.push(error);
        } finally {
          planned?.cancel();
          await reader[Symbol.asyncDispose]();
        }
      }
      expect(errors.length).toBeGreaterThan(5);
      const lost = { code: "source.connection_lost", retry: "timed" };
      expect(errors).toEqual(errors.map(() => expect.objectContaining(lost) as unknown));
      expect(ids).toEqual(Array.from({ length: count }, (_, index) => index + 1));
    },
  );

  test("I7: chunks of a connection that is cut are a `source.connection_lost`, and can be read again", async () => {
    await using bed = await PostgresBed.make(server);
    await using user = await bed.connect();
    await using proxy = await TcpProxy.start(server.port);
    await user.run("CREATE TABLE items (id integer PRIMARY KEY, body text)");
    await user.run("INSERT INTO items SELECT n, md5(n::text) FROM generate_series(1, 5000) n");
    await using source = bed.openSource({}, proxy.through(bed.url));
    const [description] = await source.describeTables([bed.nameOf("items")], signal());
    const schema = description?.schema as TableSchema;
    const whole = { after: null, upTo: null };
    for (const bytes of [1, 300, 20_000, 150_000]) {
      const planned = proxy.cutAfter("to-client", bytes);
      const error = await source.readChunk(schema, whole, null, signal()).catch((reason: unknown) => reason);
      expect(error).toMatchObject({ code: "source.connection_lost" });
      planned.cancel();
    }
    const chunk = await source.readChunk(schema, whole, null, signal());
    expect(chunk.rows).toHaveLength(5_000);
    expect(rowText(chunk.rows[0] ?? [])).toMatch(/^\d+\|[0-9a-f]{32}$/);
  });

  test(
    "I7: a network that swallows everything is noticed by silence, and the stream goes on afterwards",
    { timeout: 60_000 },
    async () => {
      await using bed = await PostgresBed.make(server);
      await using user = await bed.connect();
      await using proxy = await TcpProxy.start(server.port);
      await user.run("CREATE TABLE items (id integer PRIMARY KEY)");
      const url = new URL(proxy.through(bed.url));
      url.searchParams.set("options", "-c wal_sender_timeout=2s");
      await using source = bed.openSource({}, url.href);
      const { position, schemas } = await startCapture(source, [bed.nameOf("items")]);
      {
        await using reader = new CaptureReader(source, position, schemas);
        await user.run("INSERT INTO items VALUES (1)");
        expect(eventsOf(await reader.until(({ events }) => events.length > 0))).toHaveLength(3);
        proxy.blackhole();
        expect(await reader.next().catch((reason: unknown) => reason)).toMatchObject({
          code: "source.connection_lost",
        });
        proxy.restore();
      }
      proxy.cut();
      await waitFor(() => proxy.connections === 0, {
        deadlineMs: captureDeadlineMs,
        what: "the old connections to be gone",
      });
      await using reader = new CaptureReader(source, position, schemas);
      const events = eventsOf(await reader.until((batch) => batch.events.length > 0));
      expect(events.flatMap((event) => (event.kind === "insert" ? [rowText(event.after)] : []))).toEqual(["1"]);
    },
  );
});
