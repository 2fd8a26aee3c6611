import { failpoints, type PostgresServer, startPostgres, waitFor } from "@datatrace/testkit";
import { afterAll, beforeAll, beforeEach, expect, test } from "vitest";
import { checkHistory } from "./bed/event-history.ts";
import { holdCommit, holdingSettings } from "./bed/held-commit.ts";
import { PostgresBed, type RunningCapture } from "./bed/postgres-bed.ts";
import { RandomWriter, writtenTable } from "./bed/random-writer.ts";
import { SeededRandom } from "./model/seeded-random.ts";

let server: PostgresServer;
const seed = Number(process.env["PROPERTY_TEST_SEED"] ?? 1);
const budgetMs = Number(process.env["PROPERTY_TEST_BUDGET_MS"] ?? 4000);

beforeAll(async () => {
  server = await startPostgres({ major: 18, settings: holdingSettings });
});

afterAll(async () => {
  await server[Symbol.asyncDispose]();
});

beforeEach(() => {
  failpoints.clear();
});

function deadline(): AbortSignal {
  return AbortSignal.timeout(30_000);
}

const rows = 3000;
const oneByOne = { chunkRows: 50, parallelChunks: 1 };
const columns = ["chg", "small", "large"] as const;

async function filled(bed: PostgresBed): Promise<void> {
  await bed.client.query(`${writtenTable}
    INSERT INTO t SELECT g, nextval('chg'), 0, repeat(md5(g::text), 80) FROM generate_series(1, ${rows}) g;
    ANALYZE t`);
}

/** How often a chunk has had to wait so far. */
function waits(bed: PostgresBed): number {
  return bed.logger.of("chunk waits for visibility").length;
}

/** A chunk was read that must wait for the held commit; or nothing keeps it, and the snapshot is complete. */
async function chunkWaits(bed: PostgresBed, { capture }: RunningCapture, before = 0): Promise<void> {
  await waitFor(() => waits(bed) > before || isComplete(capture), { deadlineMs: 20_000, what: "a chunk to wait" });
}

function isComplete(capture: RunningCapture["capture"]): boolean {
  return capture.status().tables.every((table) => table.phase === "streaming");
}

async function delivered(bed: PostgresBed): Promise<void> {
  await waitFor(async () => ((await bed.stored())?.unseen.length ?? 0) > 0, {
    deadlineMs: 10_000,
    what: "a commit to be delivered that nobody sees",
  });
}

const held = ["UPDATE t SET chg = nextval('chg') WHERE id = 3000", "DELETE FROM t WHERE id = 2999"] as const;

test("I3: a chunk waits for a delivered commit that its read could not see", async () => {
  await using bed = await PostgresBed.open(await server.createDatabase());
  await filled(bed);
  await using run = bed.start(oneByOne);
  await bed.until(run.capture, "t", ({ rowsRead }) => rowsRead > 0);
  const release = await holdCommit(bed, ...held);
  await chunkWaits(bed, run);
  expect(isComplete(run.capture)).toBe(false);
  await release();
  await run.capture.caughtUp(deadline());
  expect(await bed.differences("t", ...columns)).toEqual([]);
});

test("I3: a capture that dies after the delivery of such a commit still waits for it", async () => {
  await using bed = await PostgresBed.open(await server.createDatabase());
  await filled(bed);
  let release: () => Promise<void>;
  {
    await using run = bed.start(oneByOne);
    await bed.until(run.capture, "t", ({ rowsRead }) => rowsRead > 0);
    release = await holdCommit(bed, ...held);
    await delivered(bed);
    using _crash = failpoints.on("capture.before_append", () => {
      throw new Error("crash");
    });
    expect(await run.ended).toEqual(new Error("crash"));
  }
  failpoints.clear();
  const before = waits(bed);
  await using run = bed.start(oneByOne);
  await bed.until(run.capture, "t", () => true);
  await chunkWaits(bed, run, before);
  expect(isComplete(run.capture)).toBe(false);
  await release();
  await run.capture.caughtUp(deadline());
  expect(await bed.differences("t", ...columns)).toEqual([]);
});

test("I3: a table that joins while a transaction that wrote it is open has no gap, and the others go on", async () => {
  await using bed = await PostgresBed.open(await server.createDatabase());
  await bed.client.query("CREATE TABLE other (id int PRIMARY KEY)");
  await using run = bed.start();
  await run.capture.caughtUp(deadline());
  const writer = await bed.connect();
  await bed.client.query(`${writtenTable} INSERT INTO t VALUES (1, 1, 0, NULL)`);
  await writer.query("BEGIN");
  await writer.query("INSERT INTO t VALUES (2, 2, 0, NULL)");
  await bed.until(run.capture, "t", ({ phase }) => phase === "pending");
  // The other table's changes are published while the new one waits for the writer.
  await bed.client.query("INSERT INTO other VALUES (7)");
  await waitFor(async () => (await bed.events("other")).some(({ key }) => key === "id=7"), {
    deadlineMs: 10_000,
    what: "the other table",
  });
  await writer.query("COMMIT");
  await bed.client.query("INSERT INTO t VALUES (3, 3, 0, NULL)");
  await run.capture.caughtUp(deadline());
  expect(await bed.differences("t", ...columns)).toEqual([]);
});

test("I3, I4: writers race chunks, commits become visible late, the capture dies: each change once, no stale row", async () => {
  await using bed = await PostgresBed.open(await server.createDatabase());
  const random = new SeededRandom(seed);
  await filled(bed);
  const stop = new AbortController();
  const settings = { chunkRows: 100, parallelChunks: 3, batch: { maxRows: 200 } };
  let run = bed.start(settings);
  await bed.until(run.capture, "t", ({ phase }) => phase === "snapshotting");
  const clients = await Promise.all(Array.from({ length: 4 }, async () => await bed.connect()));
  const writers = clients.map((client, n) => new RandomWriter(client, new SeededRandom(seed * 10 + n), rows));
  const writing = writers.map(async (writer) => await writer.run(stop.signal));
  const end = performance.now() + budgetMs;
  while (performance.now() < end) {
    await bed.client.query(
      "SELECT pg_cancel_backend(pid) FROM pg_stat_activity WHERE wait_event = 'SyncRep' AND random() < 0.2",
    );
    if (!random.chance(0.02)) continue;
    using _crash = failpoints.on("capture.before_append", () => {
      throw new Error("crash");
    });
    expect(await run.ended).toEqual(new Error("crash"));
    await run[Symbol.asyncDispose]();
    failpoints.clear();
    run = bed.start(settings);
  }
  stop.abort();
  const written = Promise.all(writing);
  let open = true;
  void written.finally(() => (open = false));
  await waitFor(
    async () => {
      await bed.client.query("SELECT pg_cancel_backend(pid) FROM pg_stat_activity WHERE wait_event = 'SyncRep'");
      return !open;
    },
    { deadlineMs: 10_000, what: "the writers to end" },
  );
  await written;
  await run.capture.caughtUp(deadline());
  await run[Symbol.asyncDispose]();
  const committed = writers.flatMap((writer) => writer.committed);
  expect(committed.length).toBeGreaterThan(50);
  expect(checkHistory(await bed.events("t"), committed)).toEqual([]);
  expect(await bed.differences("t", ...columns)).toEqual([]);
});
