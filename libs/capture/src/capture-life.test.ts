import { DataTraceError, dataTopic, positionTopic, stateTopic } from "@datatrace/core";
import { failpoints, waitFor } from "@datatrace/testkit";
import { beforeEach, describe, expect, test } from "vitest";
import { checkTable, firstEntry, storedEntry } from "./model/log-check.ts";
import type { ModelTable } from "./model/model-database.ts";
import { ModelWorld, type RunningModel } from "./model/model-world.ts";
import { storedStream } from "./stream-record.ts";

beforeEach(() => {
  failpoints.clear();
});

function deadline(): AbortSignal {
  return AbortSignal.timeout(10_000);
}

async function until(what: string, holds: () => boolean | Promise<boolean>): Promise<void> {
  await waitFor(holds, { deadlineMs: 10_000, what, intervalMs: 1 });
}

/** What is wrong with what the log has of this table. */
async function wrongs(world: ModelWorld, table: ModelTable): Promise<readonly string[]> {
  const first = firstEntry(world.log, positionTopic(world.capture));
  return await checkTable(table, world.database, world.log, world.prefix, first);
}

function phase({ capture }: RunningModel, table: string): string | undefined {
  return capture.status().tables.find((each) => each.table === `public.${table}`)?.phase;
}

function byPartition(a: { readonly partition: number }, b: { readonly partition: number }): number {
  return a.partition - b.partition;
}

/** Dies at the first coming by of this failpoint. */
async function dieAt(world: ModelWorld, name: string): Promise<void> {
  using _crash = failpoints.on(name, () => {
    throw new Error("crash");
  });
  await using run = world.start();
  expect(await run.ended).toEqual(new Error("crash"));
}

describe("start-up", () => {
  test.for(["capture.after_intent", "capture.after_slot", "capture.before_append", "capture.after_append"])(
    "I7: a death at %s is recovered from at the next start",
    async (failpoint) => {
      await using world = new ModelWorld();
      const table = world.addTable("t", 12);
      await dieAt(world, failpoint);
      world.write((put, remove) => {
        put(table, 3);
        remove(table, 4);
      });
      await using run = world.start();
      await run.capture.caughtUp(deadline());
      expect(await wrongs(world, table)).toEqual([]);
    },
  );

  test("I1: a stream with neither intent nor position is somebody else's", async () => {
    await using world = new ModelWorld();
    world.slot.acknowledged = 0;
    await using run = world.start();
    expect(await run.ended).toMatchObject({ code: "source.position_missing" });
    expect(world.slot.acknowledged).toBe(0);
  });

  test("I3: a position without its stream means that changes are lost", async () => {
    await using world = new ModelWorld();
    world.addTable("t", 3);
    {
      await using run = world.start();
      await run.capture.caughtUp(deadline());
    }
    world.slot.acknowledged = null;
    await using run = world.start();
    expect(await run.ended).toMatchObject({ code: "source.history_lost" });
  });

  test("I3: another server than the stored one is refused", async () => {
    await using world = new ModelWorld();
    {
      await using run = world.start();
      await run.capture.caughtUp(deadline());
    }
    world.identity = "another";
    await using run = world.start();
    expect(await run.ended).toMatchObject({ code: "source.identity_changed" });
  });

  test("I2: the first position is where the stream was made, and what nobody saw then is stored with it", async () => {
    await using world = new ModelWorld();
    const table = world.addTable("t", 3);
    await dieAt(world, "capture.after_intent");
    const tx = world.database.begin();
    world.database.put(tx, table, 1, 5, "held");
    world.database.commit(tx);
    await using run = world.start();
    await until("a chunk that waits", () => world.logger.of("chunk waits for visibility").length > 0);
    expect(phase(run, "t")).toBe("snapshotting");
    world.database.makeVisible(tx);
    await run.capture.caughtUp(deadline());
    expect(await wrongs(world, table)).toEqual([]);
  });

  test("another partition count than a topic has stops the run and changes nothing", async () => {
    await using world = new ModelWorld();
    world.addTable("t", 3);
    {
      await using run = world.start();
      await run.capture.caughtUp(deadline());
    }
    const before = await world.storedTable("t");
    {
      await using run = world.start({ tables: { select: (all) => all, partitions: () => 3 } });
      expect(await run.ended).toMatchObject({ code: "log.partitions_changed" });
    }
    expect(await world.storedTable("t")).toEqual(before);
  });

  test("a topic that was deleted and made again parks its table", async () => {
    await using world = new ModelWorld();
    world.addTable("t", 3);
    world.addTable("other", 3);
    {
      await using run = world.start();
      await run.capture.caughtUp(deadline());
    }
    await world.log.deleteTopics([dataTopic(world.prefix, { schema: "public", table: "t" })]);
    await using run = world.start();
    await run.capture.caughtUp(deadline());
    const codes = new Map(run.capture.status().tables.map(({ table, error }) => [table, error?.code]));
    expect(codes.get("public.t")).toBe("log.topic_recreated");
    expect(codes.get("public.other")).toBeUndefined();
  });

  test("I2: who is fenced stops, and the successor goes on", async () => {
    await using world = new ModelWorld();
    const table = world.addTable("t", 3);
    await using first = world.start();
    await first.capture.caughtUp(deadline());
    await using second = world.start();
    await second.capture.caughtUp(deadline());
    world.write((put) => put(table, 1));
    expect(await first.ended).toMatchObject({ code: "log.fenced" });
    await second.capture.caughtUp(deadline());
    expect(await wrongs(world, table)).toEqual([]);
  });
});

describe("snapshot", () => {
  test("I7: a death costs the chunks in flight, not those that are published", async () => {
    await using world = new ModelWorld();
    const table = world.addTable("t", 100);
    {
      let published = 0;
      using _crash = failpoints.on("capture.before_chunk_publish", () => {
        published += 1;
        if (published === 12) throw new Error("crash");
      });
      await using run = world.start();
      expect(await run.ended).toEqual(new Error("crash"));
    }
    const first = world.reads.splice(0);
    await using run = world.start();
    await run.capture.caughtUp(deadline());
    const again = first.filter((range) => world.reads.includes(range));
    // Two lanes, and what the append under way did not get to store.
    expect(first.length).toBeGreaterThanOrEqual(12);
    expect(again.length).toBeLessThanOrEqual(5);
    expect(await wrongs(world, table)).toEqual([]);
  });

  test("mode snapshot ends when every table is read, and leaves no stream behind", async () => {
    await using world = new ModelWorld();
    const table = world.addTable("t", 30);
    {
      await using run = world.start({ mode: "snapshot" });
      expect(await run.ended).toBeNull();
      expect(run.capture.status()).toMatchObject({ state: "finished", tables: [{ phase: "done", rowsRead: 30 }] });
      expect(await run.capture.caughtUp(deadline())).toHaveLength(2);
    }
    expect(world.slot.acknowledged).toBeNull();
    expect(storedStream(await world.log.latestByKey(stateTopic(world.capture)))?.state).toBe("finished");
    const before = world.records("t").length;
    await using again = world.start({ mode: "snapshot" });
    expect(await again.ended).toBeNull();
    expect(world.records("t").length).toBe(before);
    expect(await wrongs(world, table)).toEqual([]);
  });

  test("a finished snapshot that is to be followed from now on is read again", async () => {
    await using world = new ModelWorld();
    const table = world.addTable("t", 8);
    {
      await using run = world.start({ mode: "snapshot" });
      await run.ended;
    }
    world.write((put, remove) => {
      put(table, 1);
      remove(table, 2);
      put(table, 20);
    });
    await using run = world.start();
    await run.capture.caughtUp(deadline());
    const rows = world.database.content(table);
    expect(run.capture.status().tables).toMatchObject([{ phase: "streaming", rowsRead: rows.size }]);
  });

  test("mode stream reads no rows", async () => {
    await using world = new ModelWorld();
    const table = world.addTable("t", 8);
    await using run = world.start({ mode: "stream" });
    await run.capture.caughtUp(deadline());
    expect(world.records("t")).toHaveLength(0);
    world.write((put) => put(table, 1));
    await run.capture.caughtUp(deadline());
    expect(world.records("t")).toHaveLength(1);
    expect(world.reads).toEqual([]);
  });
});

describe("parked tables", () => {
  const lost = new DataTraceError("source.schema_change_unsupported");
  test.for([
    ["source.truncate_unsupported", "truncate"],
    ["source.schema_change_unsupported", "table-lost"],
  ] as const)("I3: %s stops its table for good, and no other", async ([code, kind]) => {
    await using world = new ModelWorld();
    const table = world.addTable("t", 8);
    const other = world.addTable("other", 8);
    await using run = world.start();
    await run.capture.caughtUp(deadline());
    const origin = { tsUs: 1, sequence: null, fields: [null, null] };
    world.database.wal.push({
      kind: "lost",
      event: kind === "truncate" ? { kind, tables: [table.name], origin } : { kind, table: table.name, error: lost },
    });
    await until("the table to be parked", () => phase(run, "t") === "parked");
    const before = world.records("t").length;
    world.write((put) => {
      put(table, 1);
      put(other, 1);
    });
    await run.capture.caughtUp(deadline());
    expect(world.records("t").length).toBe(before);
    expect(await wrongs(world, other)).toEqual([]);
    expect(world.logger.of("table parked")).toHaveLength(1);
    await run[Symbol.asyncDispose]();
    await using again = world.start();
    await again.capture.caughtUp(deadline());
    const [status] = again.capture.status().tables.filter((each) => each.table === "public.t");
    expect(status?.error).toMatchObject({ code, fix: expect.stringContaining("add it again") as string });
    expect(await world.storedTable("t")).toMatchObject({ phase: "parked", error: { code } });
    expect(world.records("t").length).toBe(before);
  });

  test("a parked table that leaves the selection and comes back is read anew", async () => {
    await using world = new ModelWorld();
    const table = world.addTable("t", 8);
    world.addTable("other", 2);
    {
      await using run = world.start();
      await run.capture.caughtUp(deadline());
      world.database.wal.push({ kind: "lost", event: { kind: "table-lost", table: table.name, error: lost } });
      await until("the table to be parked", () => phase(run, "t") === "parked");
      await until("that to be stored", async () => (await world.storedTable("t"))?.phase === "parked");
    }
    {
      await using run = world.start(world.selecting("other"));
      await run.capture.caughtUp(deadline());
      expect(phase(run, "t")).toBeUndefined();
      await until("the record to go", async () => (await world.storedTable("t")) === undefined);
    }
    world.write((put) => put(table, 3));
    await using run = world.start();
    await run.capture.caughtUp(deadline());
    expect(run.capture.status().tables.find((each) => each.table === "public.t")).toMatchObject({
      phase: "streaming",
      rowsRead: 8,
      error: null,
    });
  });

  test("a table that the source refuses stands with its reason, and joins once the reason is gone", async () => {
    await using world = new ModelWorld();
    world.addTable("other", 2);
    const table = world.addTable("t", 8);
    world.findings.set("public.t", {
      severity: "error",
      code: "source.table_without_key",
      message: "It has no primary key.",
      fix: "Add one.",
      table: "public.t",
    });
    await using run = world.start();
    await run.capture.caughtUp(deadline());
    expect(run.capture.status().tables.find((each) => each.table === "public.t")).toMatchObject({
      phase: "parked",
      error: { code: "source.table_without_key", fix: "Add one." },
    });
    expect(world.logger.of("table parked")).toHaveLength(1);
    world.findings.clear();
    await run.capture.caughtUp(deadline());
    expect(phase(run, "t")).toBe("streaming");
    expect(await wrongs(world, table)).toEqual([]);
  });

  test("a table that is dropped is parked; one that leaves the selection is published no more", async () => {
    await using world = new ModelWorld();
    world.addTable("t", 8);
    const kept = world.addTable("kept", 2);
    await using run = world.start();
    await run.capture.caughtUp(deadline());
    world.database.tables.splice(0, 1);
    await until("the table to be parked", () => phase(run, "t") === "parked");
    expect(run.capture.status().tables.find((each) => each.table === "public.t")?.error?.code).toBe(
      "source.table_missing",
    );
    expect(await wrongs(world, kept)).toEqual([]);
  });

  test("I3: a followed table that the stream did not carry for a while does not go on silently", async () => {
    await using world = new ModelWorld();
    const table = world.addTable("t", 8);
    await using run = world.start();
    await run.capture.caughtUp(deadline());
    world.database.wal.push({ kind: "publication", tables: new Set() });
    world.write((put) => put(table, 1));
    await until("the table to be parked", () => phase(run, "t") === "parked");
    expect(run.capture.status().tables[0]?.error?.code).toBe("source.history_lost");
  });

  test("two tables that would share a topic: the second is refused", async () => {
    await using world = new ModelWorld();
    world.addTable("a b", 2);
    world.addTable("a_b", 2);
    await using run = world.start();
    await run.capture.caughtUp(deadline());
    expect(run.capture.status().tables.map(({ error }) => error?.code)).toEqual([undefined, "task.table_conflict"]);
  });
});

describe("positions and status", () => {
  test("a stream without events stores its position at the heartbeat only", async () => {
    await using world = new ModelWorld();
    world.addTable("t", 3);
    await using run = world.start();
    await run.capture.caughtUp(deadline());
    const before = world.log.records(positionTopic(world.capture))[0]?.length;
    await run.capture.caughtUp(deadline());
    await run.capture.caughtUp(deadline());
    expect(world.log.records(positionTopic(world.capture))[0]?.length).toBe(before);
    await run[Symbol.asyncDispose]();
    await using eager = world.start({ timing: { heartbeatMs: 1 } });
    await until("a heartbeat", () => {
      const stored = storedEntry(world.log, positionTopic(world.capture));
      return stored === world.database.wal.length && world.slot.acknowledged === stored;
    });
    expect(eager.capture.status().state).toBe("running");
  });

  test("caught up answers the last offset of each partition, of earlier runs too", async () => {
    await using world = new ModelWorld();
    world.addTable("t", 20);
    const topic = dataTopic(world.prefix, { schema: "public", table: "t" });
    const expected = () =>
      world.log.records(topic).map((records, partition) => ({ topic, partition, last: BigInt(records.length - 1) }));
    {
      await using run = world.start();
      const ends = await run.capture.caughtUp(deadline());
      expect(ends.toSorted(byPartition)).toEqual(expected());
    }
    await using run = world.start();
    const ends = await run.capture.caughtUp(deadline());
    expect(ends.toSorted(byPartition)).toEqual(expected());
  });

  test("the status counts rows, and the observer hears of every append", async () => {
    await using world = new ModelWorld();
    const table = world.addTable("t", 7);
    const counts = { c: 0, u: 0, d: 0, r: 0 };
    let rows = 0;
    await using run = world.start({
      observer: {
        appended: (append) => {
          rows += append.rows;
          for (const each of append.tables) {
            for (const op of ["c", "u", "d", "r"] as const) counts[op] += each.counts[op];
          }
        },
        retried: () => undefined,
        lag: () => undefined,
      },
    });
    await run.capture.caughtUp(deadline());
    world.write((put, remove) => {
      put(table, 1);
      put(table, 100);
      remove(table, 2);
    });
    await run.capture.caughtUp(deadline());
    expect(counts).toEqual({ c: 1, u: 1, d: 1, r: 7 });
    expect(run.capture.status()).toMatchObject({
      state: "running",
      rowsAppended: BigInt(rows),
      retries: 0,
    });
    await until("the lag to be measured again", () => run.capture.status().lagBytes === 0);
  });

  test("I8: what is logged and shown holds no cell value", async () => {
    await using world = new ModelWorld();
    const table = world.addTable("t", 20);
    await using run = world.start();
    await run.capture.caughtUp(deadline());
    world.database.wal.push({
      kind: "lost",
      event: { kind: "truncate", tables: [table.name], origin: { tsUs: 1, sequence: null, fields: [null, null] } },
    });
    await until("the table to be parked", () => phase(run, "t") === "parked");
    const shown = JSON.stringify(run.capture.status(), (_, value: unknown) =>
      typeof value === "bigint" ? value.toString() : value,
    );
    expect(world.logger.text()).toContain("table parked");
    expect(world.logger.text() + shown).not.toContain("large");
  });

  test("decommission names what there is, then removes it", async () => {
    await using world = new ModelWorld();
    world.addTable("t", 3);
    await using run = world.start();
    await run.capture.caughtUp(deadline());
    await run[Symbol.asyncDispose]();
    const topics = ["world.public.t", positionTopic("world"), stateTopic("world")];
    const said = await run.capture.decommission(false, deadline());
    expect(said).toEqual(topics.map((topic) => `topic ${topic}`));
    expect(world.records("t")).toHaveLength(3);
    expect(await run.capture.decommission(true, deadline())).toEqual(said);
    expect(await run.capture.decommission(false, deadline())).toEqual([]);
    expect(world.records("t")).toHaveLength(0);
  });

  test("I7: a decommission whose group is still in use is found again, with its topics, and can be repeated", async () => {
    await using world = new ModelWorld();
    world.addTable("t", 3);
    await using run = world.start();
    await run.capture.caughtUp(deadline());
    await run[Symbol.asyncDispose]();
    const said = await run.capture.decommission(false, deadline());
    world.log.groupInUse = true;
    await expect(run.capture.decommission(true, deadline())).rejects.toMatchObject({ code: "log.group_in_use" });
    expect(await run.capture.decommission(false, deadline())).toEqual(said);
    world.log.groupInUse = false;
    expect(await run.capture.decommission(true, deadline())).toEqual(said);
  });

  test("fencing takes the writer from a capture that runs, and leaves all else", async () => {
    await using world = new ModelWorld();
    const table = world.addTable("t", 3);
    await using run = world.start();
    await run.capture.caughtUp(deadline());
    await using other = world.open();
    const said = await other.decommission(false, deadline());
    await other.fence(deadline());
    world.write((put) => put(table, 1));
    expect(await run.ended).toMatchObject({ code: "log.fenced" });
    expect(await other.decommission(false, deadline())).toEqual(said);
  });
});
