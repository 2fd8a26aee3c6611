import { UNCHANGED } from "@datatrace/core";
import type { PartialUpdate, Row } from "@datatrace/core";
import { expect, test } from "vitest";
import {
  advanced,
  apply,
  applyPatiently,
  claim,
  delivery,
  entry,
  item,
  items,
  itemsSchema,
  never,
  prepare,
  unitOf,
} from "./sink-fixture.ts";
import type { SinkHarness } from "./sink-harness.ts";
import { TcpProxy } from "./tcp-proxy.ts";
import { waitFor } from "./wait-for.ts";

const applied = { kind: "applied", rereads: [] };

function partial(row: Row, ask = true): PartialUpdate {
  return { row, topic: "shop.items", key: Buffer.from(`key ${JSON.stringify(row[0])}`), ask };
}

/** From the first bytes that hold `text` on, and once, nothing is delivered any more. Those bytes still are. */
async function blackholeAt(proxy: TcpProxy, text: string): Promise<void> {
  const { promise, resolve } = Promise.withResolvers<void>();
  const plan = proxy.cutOn({
    direction: "to-server",
    match: (chunk) => {
      if (!chunk.includes(text)) return false;
      plan.cancel();
      proxy.blackhole();
      resolve();
      return false;
    },
    cut: "after",
  });
  return promise;
}

/** Rows, offsets, partial updates, quarantine and requests of one transaction, and what is lost of its answer. */
export function describeSinkApply(harness: SinkHarness): void {
  test("I5: rows and offset appear together", async () => {
    await using bed = await harness.makeBed();
    await using sink = harness.openSink(bed.target);
    await sink.open(never);
    await prepare(sink);
    const taken = await claim(sink, "shop.items", 0, 10n);
    expect(await apply(sink, unitOf(taken, { upserts: [item(2, "two"), item(1, "one")] }, 5n))).toEqual(applied);
    expect(await bed.rows(items, itemsSchema)).toEqual([item(1, "one"), item(2, "two")]);
    expect(await sink.progress(delivery, never)).toEqual([{ topic: "shop.items", partition: 0, next: 15n }]);
  });

  test("writes over what is there, deletes, and goes on without rows", async () => {
    await using bed = await harness.makeBed();
    await using sink = harness.openSink(bed.target);
    await sink.open(never);
    await prepare(sink);
    let taken = await claim(sink);
    const first = [item(1, "one", 1, "a"), item(2, "two", 2, "b"), item(3, null, null, null)];
    expect(await apply(sink, unitOf(taken, { upserts: first }))).toEqual(applied);
    taken = advanced(taken);
    const second = { upserts: [item(1, "uno", null, "c")], deletes: [[2, null, null, null], item(9, "never there")] };
    expect(await apply(sink, unitOf(taken, second))).toEqual(applied);
    taken = advanced(taken);
    expect(await apply(sink, unitOf(taken, {}, 100n))).toEqual(applied);
    expect(await bed.rows(items, itemsSchema)).toEqual([item(1, "uno", null, "c"), item(3, null, null)]);
    expect(await sink.progress(delivery, never)).toEqual([{ topic: "shop.items", partition: 0, next: 102n }]);
  });

  test("deletes before it writes, so that a unique value can move", async () => {
    await using bed = await harness.makeBed();
    await using sink = harness.openSink(bed.target);
    await sink.open(never);
    await prepare(sink);
    await bed.addUnique(items, "name");
    const taken = await claim(sink);
    expect(await apply(sink, unitOf(taken, { upserts: [item(1, "seat")] }))).toEqual(applied);
    const move = { deletes: [item(1, null)], upserts: [item(2, "seat")] };
    expect(await apply(sink, unitOf(advanced(taken), move))).toEqual(applied);
    expect(await bed.rows(items, itemsSchema)).toEqual([item(2, "seat")]);
  });

  test("applies thousands of rows in one unit", async () => {
    await using bed = await harness.makeBed();
    await using sink = harness.openSink(bed.target);
    await sink.open(never);
    await prepare(sink);
    const taken = await claim(sink);
    const rows = Array.from({ length: 2501 }, (_, id) => item(id, `name ${id}`, id, "x".repeat(id % 50)));
    expect(await apply(sink, unitOf(taken, { upserts: rows }))).toEqual(applied);
    expect(await bed.rows(items, itemsSchema)).toEqual(rows);
    const odd = rows.filter((_, id) => id % 2 === 1);
    expect(await apply(sink, unitOf(advanced(taken), { deletes: odd }))).toEqual(applied);
    expect(await bed.rows(items, itemsSchema)).toEqual(rows.filter((_, id) => id % 2 === 0));
  });

  test("I3: a partial update touches only the columns that it carries, and asks for a row that is missing", async () => {
    await using bed = await harness.makeBed();
    await using sink = harness.openSink(bed.target);
    await sink.open(never);
    await prepare(sink);
    const taken = await claim(sink);
    const whole = [item(1, "one", 1, "large"), item(2, "two", 2, "large"), item(5, "five", 5, "large")];
    expect(await apply(sink, unitOf(taken, { upserts: whole }))).toEqual(applied);
    const outcome = await apply(
      sink,
      unitOf(advanced(taken), {
        partials: [
          partial([1, "uno", null, UNCHANGED]),
          partial([2, UNCHANGED, 22, UNCHANGED]),
          partial([3, "missing", 3, UNCHANGED]),
          partial([4, "follows", 4, UNCHANGED], false),
          partial([5, UNCHANGED, UNCHANGED, UNCHANGED]),
          partial([6, UNCHANGED, UNCHANGED, UNCHANGED]),
        ],
      }),
    );
    const asked = [3, 6].map((id) => ({ topic: "shop.items", key: Buffer.from(`key ${id}`) }));
    expect(outcome.kind).toBe("applied");
    expect(new Set(outcome.kind === "applied" ? outcome.rereads : [])).toEqual(new Set(asked));
    expect(new Set(await sink.openRereads(delivery, never))).toEqual(new Set(asked));
    expect(await bed.rows(items, itemsSchema)).toEqual([
      item(1, "uno", null, "large"),
      item(2, "two", 22, "large"),
      item(5, "five", 5, "large"),
    ]);

    const answer = { upserts: [item(3, "read again", 3, "large")], rereadsDone: asked.slice(0, 1) };
    expect(await apply(sink, unitOf(advanced(taken, 2n), answer))).toEqual(applied);
    expect(await sink.openRereads(delivery, never)).toEqual(asked.slice(1));
    expect(await sink.openRereads("another", never)).toEqual([]);
  });

  test("I4: keeps what was not applied, byte for byte, and knows the parked keys", async () => {
    await using bed = await harness.makeBed();
    await using sink = harness.openSink(bed.target);
    await sink.open(never);
    const taken = await claim(sink);
    const entries = [
      entry(taken, "1"),
      entry(taken, "1", { offset: 1n, value: null, code: "sink.key_parked" }),
      entry(taken, "2", { offset: 2n, state: "skipped", keyText: "id=\u0000\ud800" }),
    ];
    expect(await apply(sink, unitOf(taken, { quarantine: entries }, 3n))).toEqual(applied);
    const key = { topic: "shop.items", partition: 0 };
    expect(await sink.parkedKeys(delivery, [key], never)).toEqual([{ ...key, key: Buffer.from("1") }]);
    expect(await sink.parkedKeys(delivery, [{ ...key, partition: 1 }], never)).toEqual([]);
    expect(await sink.parkedKeys("another", [key], never)).toEqual([]);
    const kept = await bed.helperRows();
    expect(kept).toContain(JSON.stringify(entries[0]?.headers));
    expect(kept).toContain("00ff225c");
  });

  test("I7: a COMMIT whose answer is lost counts when it happened", { timeout: 60_000 }, async () => {
    await using bed = await harness.makeBed();
    await using proxy = await TcpProxy.start(bed.port);
    await using sink = harness.openSink(proxy.through(bed.target));
    await sink.open(never);
    await prepare(sink);
    const taken = await claim(sink);
    const cut = proxy.cutOn({ direction: "to-server", match: bed.commit, cut: "answer" });
    const unit = unitOf(taken, { upserts: [item(1, "committed")] });
    expect(await apply(sink, unit)).toEqual(applied);
    await cut.fired;
    expect(await bed.rows(items, itemsSchema)).toEqual([item(1, "committed")]);
    expect(await sink.progress(delivery, never)).toEqual([{ topic: "shop.items", partition: 0, next: 1n }]);
    expect(await apply(sink, unitOf(advanced(taken), { upserts: [item(2, "next")] }))).toEqual(applied);
  });

  test("I7: a COMMIT that never arrived is tried again, once", { timeout: 60_000 }, async () => {
    await using bed = await harness.makeBed();
    await using proxy = await TcpProxy.start(bed.port);
    await using sink = harness.openSink(proxy.through(bed.target));
    await sink.open(never);
    await prepare(sink);
    const taken = await claim(sink);
    const cut = proxy.cutOn({ direction: "to-server", match: bed.commit, cut: "before" });
    const unit = unitOf(taken, { upserts: [item(1, "again")] });
    await expect(apply(sink, unit)).rejects.toMatchObject({ code: "sink.connection_lost", retry: "timed" });
    await cut.fired;
    expect(await bed.rows(items, itemsSchema)).toEqual([]);
    expect(await apply(sink, unit)).toEqual(applied);
    expect(await bed.rows(items, itemsSchema)).toEqual([item(1, "again")]);
  });

  test("I7: a COMMIT lost in a silent network is settled by asking", { timeout: 60_000 }, async () => {
    await using bed = await harness.makeBed();
    await using proxy = await TcpProxy.start(bed.port);
    // The unit itself looks for somebody in its way only after an hour: a second connection is there to ask.
    await using sink = harness.openSink(proxy.through(bed.target), { answerTimeoutMs: 1000, takeOverMs: 3_600_000 });
    await sink.open(never);
    await prepare(sink);
    const taken = await claim(sink);
    // COMMIT arrives, its answer hangs in the network, and nobody tells either side.
    const seen = blackholeAt(proxy, bed.commit);
    const outcome = applyPatiently(sink, unitOf(taken, { upserts: [item(1, "silent")] }));
    await seen;
    const before = proxy.connections;
    await waitFor(() => proxy.connections > before, { deadlineMs: 20_000, what: "a second connection, to ask" });
    proxy.restore();
    expect(await outcome).toEqual(applied);
    expect(await bed.rows(items, itemsSchema)).toEqual([item(1, "silent")]);
    expect(await sink.progress(delivery, never)).toEqual([{ topic: "shop.items", partition: 0, next: 1n }]);
  });

  test("I7: a connection cut in the middle of a unit leaves nothing, and the unit can be applied again", async () => {
    await using bed = await harness.makeBed();
    await using proxy = await TcpProxy.start(bed.port);
    await using sink = harness.openSink(proxy.through(bed.target));
    await sink.open(never);
    await prepare(sink);
    const taken = await claim(sink);
    const rows = Array.from({ length: 2000 }, (_, id) => item(id, "x".repeat(100)));
    const cut = proxy.cutAfter("to-server", 100_000);
    const unit = unitOf(taken, { upserts: rows });
    await expect(apply(sink, unit)).rejects.toMatchObject({ code: "sink.connection_lost", retry: "timed" });
    await cut.fired;
    expect(await bed.rows(items, itemsSchema)).toEqual([]);
    expect(await apply(sink, unit)).toEqual(applied);
    expect(await bed.rows(items, itemsSchema)).toHaveLength(2000);
  });

  test("I7: a target that does not answer is transient, and works when it is back", async () => {
    await using bed = await harness.makeBed();
    await using proxy = await TcpProxy.start(bed.port);
    await using sink = harness.openSink(proxy.through(bed.target));
    await sink.open(never);
    await prepare(sink);
    const taken = await claim(sink);
    await proxy.refuse();
    proxy.cut();
    const unit = unitOf(taken, { upserts: [item(1, "later")] });
    await expect(apply(sink, unit)).rejects.toMatchObject({ code: "sink.connection_lost", retry: "timed" });
    await expect(claim(sink)).rejects.toMatchObject({ code: "sink.connection_lost", retry: "timed" });
    await proxy.accept();
    expect(await apply(sink, unit)).toEqual(applied);
  });

  test("an aborted call ends at once and leaves nothing", async () => {
    await using bed = await harness.makeBed();
    await using proxy = await TcpProxy.start(bed.port);
    await using sink = harness.openSink(proxy.through(bed.target));
    await sink.open(never);
    await prepare(sink);
    const taken = await claim(sink);
    const stop = new AbortController();
    // In the middle: the server has begun, its answers never come.
    const seen = blackholeAt(proxy, "UPDATE");
    const outcome = sink.apply(delivery, unitOf(taken, { upserts: [item(1, "stopped")] }), stop.signal);
    await seen;
    stop.abort(new Error("stopped by the test"));
    await expect(outcome).rejects.toThrow("stopped by the test");
    proxy.cut();
    proxy.restore();
    expect(await applyPatiently(sink, unitOf(taken, { upserts: [item(2, "after")] }))).toEqual(applied);
    expect(await bed.rows(items, itemsSchema)).toEqual([item(2, "after")]);
  });
}
