import type { TableSchema } from "@datatrace/core";
import { Secret } from "@datatrace/core";
import { connect, parseConnectionUrl } from "@datatrace/postgres";
import { availablePostgres, startPostgres, waitFor } from "@datatrace/testkit";
import type { PostgresServer } from "@datatrace/testkit";
import { CaptureReader, captureDeadlineMs, eventsOf, rowText, startCapture } from "@datatrace/testkit/suites";
import type { Client } from "pg";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { PostgresBed } from "./postgres-bed.ts";

const signal = (): AbortSignal => AbortSignal.timeout(captureDeadlineMs);
const whole = { after: null, upTo: null } as const;

async function openUser(bed: PostgresBed, settings: Readonly<Record<string, string>> = {}): Promise<Client> {
  return await connect(parseConnectionUrl(new Secret(bed.url)), { applicationName: "user", settings });
}

async function waitForStandby(bed: PostgresBed, standby: string): Promise<void> {
  await bed.query(`ALTER SYSTEM SET synchronous_standby_names = '${standby}'`);
  await bed.query("SELECT pg_reload_conf()");
  await waitFor(
    async () => {
      const [row] = await bed.query<{ now: string }>("SELECT current_setting('synchronous_standby_names') AS now");
      return row?.now === standby;
    },
    { deadlineMs: captureDeadlineMs, what: "the setting" },
  );
}

async function hangingCommits(bed: PostgresBed, count: number): Promise<void> {
  await waitFor(
    async () => {
      const rows = await bed.query("SELECT FROM pg_stat_activity WHERE wait_event = 'SyncRep'");
      return rows.length === count;
    },
    { deadlineMs: captureDeadlineMs, what: "commits that wait for the standby" },
  );
}

/** A commit that waits for a standby is in the WAL, and the slot gives it out, but no other session sees it yet. */
describe.each(await availablePostgres())("PostgreSQL %i with a standby that never answers", (major) => {
  let server: PostgresServer;

  beforeAll(async () => {
    server = await startPostgres({ major });
  });

  afterAll(async () => {
    await server[Symbol.asyncDispose]();
  });

  test("I3: a transaction that was delivered and is not visible yet is not seen by a chunk's view", async () => {
    await using bed = await PostgresBed.make(server);
    await using user = await bed.connect();
    await user.run("CREATE TABLE items (id integer PRIMARY KEY)");
    await using source = bed.openSource();
    const { position, schemas } = await startCapture(source, [bed.nameOf("items")]);
    const schema = schemas[0] as TableSchema;
    await using reader = new CaptureReader(source, position, schemas);
    await waitForStandby(bed, "nobody");
    const writer = await openUser(bed);
    const committing = writer.query("INSERT INTO items VALUES (1)");
    await hangingCommits(bed, 1);
    // Our own commits do not wait, or no watermark would ever come back.
    await source.writeWatermark("low", signal());
    const events = eventsOf(await reader.untilWatermark("low"));
    const [begin] = events;
    expect(events.flatMap((event) => (event.kind === "insert" ? [rowText(event.after)] : []))).toEqual(["1"]);
    expect(begin?.kind).toBe("begin");
    const txId = begin?.kind === "begin" ? begin.txId : 0n;
    const blind = await source.readChunk(schema, whole, null, signal());
    expect(blind.rows).toEqual([]);
    expect(blind.view.sees(txId)).toBe(false);
    expect((await source.currentView(signal())).sees(txId)).toBe(false);
    // A later transaction that is visible moves the horizon beyond it.
    const other = await openUser(bed, { synchronous_commit: "local" });
    await other.query("INSERT INTO items VALUES (2)");
    const later = await source.readChunk(schema, whole, null, signal());
    expect(later.rows.map((row) => rowText(row))).toEqual(["2"]);
    expect(later.view.sees(txId)).toBe(false);
    expect((await source.readKeys(schema, [[1], [2]], signal())).view.sees(txId)).toBe(false);
    await waitForStandby(bed, "");
    await committing;
    const after = await source.readChunk(schema, whole, null, signal());
    expect(after.rows.map((row) => rowText(row)).toSorted()).toEqual(["1", "2"]);
    expect(after.view.sees(txId)).toBe(true);
    await writer.end();
    await other.end();
  });

  test(
    "I3: a new stream names the transactions that lie before it and that nobody sees yet",
    { timeout: 90_000 },
    async () => {
      await using bed = await PostgresBed.make(server);
      await using user = await bed.connect();
      await user.run("CREATE TABLE items (id integer PRIMARY KEY)");
      await using source = bed.openSource();
      await source.publish([bed.nameOf("items")], signal());
      const sessions: Client[] = [];
      const open = async (id: number, settings: Readonly<Record<string, string>> = {}): Promise<Client> => {
        const session = await openUser(bed, settings);
        sessions.push(session);
        await session.query("BEGIN");
        await session.query("INSERT INTO items VALUES ($1)", [id]);
        return session;
      };
      /** The server makes a slot in phases; each ends when the transactions that were open at its beginning have ended. */
      const slotWaitsFor = async (holder: Client): Promise<void> => {
        const pid = (holder as Client & { readonly processID: number }).processID;
        await waitFor(
          async () => {
            const rows = await bed.query(
              `SELECT FROM pg_locks waiting JOIN pg_locks held USING (transactionid)
             WHERE NOT waiting.granted AND held.granted AND held.pid = ${pid}`,
            );
            return rows.length > 0;
          },
          { deadlineMs: captureDeadlineMs, what: "the slot to wait for an open transaction" },
        );
      };
      const local = { synchronous_commit: "local" };
      const first = await open(1, local);
      const starting = source.createStream(signal());
      await slotWaitsFor(first);
      const second = await open(2, local);
      await first.query("COMMIT");
      await slotWaitsFor(second);
      // Begins in the last phase, and its commit record is written before the slot's first position.
      await waitForStandby(bed, "nobody");
      const hidden = await open(3);
      const txId = BigInt(
        (await hidden.query<{ id: string }>("SELECT pg_current_xact_id()::text AS id")).rows[0]?.id ?? 0,
      );
      const committing = hidden.query("COMMIT");
      await hangingCommits(bed, 1);
      await second.query("COMMIT");
      const start = await starting;
      expect(start.unseen).toEqual([txId]);
      const [description] = await source.describeTables([bed.nameOf("items")], signal());
      const schema = description?.schema as TableSchema;
      const chunk = await source.readChunk(schema, whole, null, signal());
      expect(chunk.rows.map((row) => rowText(row)).toSorted()).toEqual(["1", "2"]);
      expect(chunk.view.sees(txId)).toBe(false);
      await waitForStandby(bed, "");
      await committing;
      // It is not in the stream: only a chunk that sees it can bring it.
      await source.writeWatermark("end", signal());
      await using reader = new CaptureReader(source, start.position);
      expect(eventsOf(await reader.untilWatermark("end")).filter((event) => event.kind === "insert")).toEqual([]);
      const after = await source.readChunk(schema, whole, null, signal());
      expect(after.rows.map((row) => rowText(row)).toSorted()).toEqual(["1", "2", "3"]);
      expect(after.view.sees(txId)).toBe(true);
      for (const session of sessions) await session.end();
    },
  );
});
