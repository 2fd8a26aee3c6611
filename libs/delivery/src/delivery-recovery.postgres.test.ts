import { TcpProxy, availablePostgres, startPostgres, testPostgres, waitFor } from "@datatrace/testkit";
import type { TestPostgres } from "@datatrace/testkit";
import { afterAll, beforeAll, expect, test } from "vitest";
import { DeliveryBed, insert, item, itemsSchema, openTarget, remove, update } from "./delivery-bed.ts";
import type { Address } from "./delivery.ts";
import type { Change, PublishedTopic } from "./delivery-bed.ts";
import { MemberProcess } from "./member-process.ts";

const deadlineMs = 40_000;
const timeout = 90_000;

let server: TestPostgres;
beforeAll(async () => {
  server = await testPostgres((await availablePostgres()).at(-1) ?? 18);
}, 120_000);
afterAll(async () => {
  await server[Symbol.asyncDispose]();
});

async function openBed(): Promise<DeliveryBed> {
  return DeliveryBed.open(await server.createDatabase());
}

/**
 * Every row carries how often it was written in the log, and a trigger of the target counts how often it was written
 * there: what is applied twice, or not at all, shows.
 */
async function countWrites(bed: DeliveryBed): Promise<void> {
  await bed.query("CREATE TABLE IF NOT EXISTS public.writes (at bigserial, id bigint, name text)");
  await bed.query(`CREATE OR REPLACE FUNCTION public.count_write() RETURNS trigger LANGUAGE plpgsql AS
    $$ BEGIN INSERT INTO public.writes (id, name) VALUES (NEW.id, NEW.name); RETURN NEW; END $$`);
  await bed.query(`CREATE OR REPLACE TRIGGER count_write AFTER INSERT OR UPDATE ON shop.items
    FOR EACH ROW EXECUTE FUNCTION public.count_write()`);
}

/** The target table exists, and nothing is in it that counts. */
async function primed(bed: DeliveryBed, partitions = 1): Promise<PublishedTopic> {
  const items = await bed.publish(itemsSchema(), partitions);
  await using running = bed.start();
  await running.applied(await items.append([insert(item(0))]));
  await countWrites(bed);
  return items;
}

/** One insert of each key: then each must have been written once. */
function inserts(count: number, from = 1): readonly Change[] {
  return Array.from({ length: count }, (_, place) => insert(item(from + place, "once")));
}

/** Writes of these rows, different ones among them, and rows that are there now. */
async function writes(bed: DeliveryBed): Promise<readonly number[]> {
  const [[all, different] = []] = await bed.query(
    "SELECT count(*), count(DISTINCT id) FROM public.writes WHERE name = 'once'",
  );
  return [Number(all), Number(different), (await bed.rows()).length - 1];
}

async function allStored(bed: DeliveryBed, ends: readonly Address[]): Promise<void> {
  await waitFor(
    async () => {
      const found = await bed.query("SELECT topic || '/' || partition, next_offset FROM datatrace._datatrace_offsets");
      const stored = new Map(found.map(([place, next]) => [place, BigInt(next ?? 0)]));
      return ends.every(({ topic, partition, last }) => (stored.get(`${topic}/${partition}`) ?? 0n) > last);
    },
    { deadlineMs, what: "every offset to be stored" },
  );
}

/** The last end of each partition over several appends. */
function lastEnds(appends: readonly (readonly Address[])[]): readonly Address[] {
  return [...new Map(appends.flat().map((end) => [`${end.topic}/${end.partition}`, end])).values()];
}

const failpoints = [
  "sink.after_claim",
  "sink.after_prepare",
  "sink.before_first_update=kill@2",
  "sink.after_first_update=kill@3",
  "sink.before_commit=kill@2",
  "sink.after_commit=kill@3",
];

for (const point of failpoints) {
  test(`I5, I7: killed at ${point.split("=")[0]}, its successor applies each change once`, { timeout }, async () => {
    await using bed = await openBed();
    const items = await primed(bed);
    const ends = await items.append(inserts(200));
    {
      await using member = await MemberProcess.start(bed, point.includes("=") ? point : `${point}=kill`);
      await member.ended();
    }
    await using running = bed.start({ batchRows: 20 });
    await running.applied(ends, deadlineMs);
    expect(await writes(bed)).toEqual([200, 200, 200]);
  });
}

test("I7: of two members that share the partitions one is killed; the other takes over", { timeout }, async () => {
  await using bed = await openBed();
  const items = await primed(bed, 4);
  await using victim = await MemberProcess.start(bed);
  await using survivor = await MemberProcess.start(bed);
  await victim.ready();
  await survivor.ready();
  const appends: (readonly Address[])[] = [];
  for (let round = 0; round < 30; round += 1) {
    appends.push(await items.append(inserts(20, 1 + round * 20)));
    if (round === 15) victim.kill("SIGKILL");
  }
  await allStored(bed, lastEnds(appends));
  expect(await writes(bed)).toEqual([600, 600, 600]);
  expect(await survivor.stop()).toBe(true);
});

for (const point of [
  "sink.before_first_update",
  "sink.after_first_update",
  "sink.before_commit",
  "sink.after_commit",
]) {
  test(
    `I2, I5: a member frozen at ${point} wakes after its successor has worked, and changes nothing`,
    { timeout },
    async () => {
      await using bed = await openBed();
      const items = await primed(bed);
      await using frozen = await MemberProcess.start(bed, `${point}=stop@2`);
      const first = await items.append(inserts(100));
      await frozen.reached();
      await using running = bed.start({ batchRows: 20 });
      await running.applied(first, deadlineMs);
      const second = await items.append(inserts(100, 101));
      await running.applied(second, deadlineMs);
      frozen.kill("SIGCONT");
      const third = await items.append(inserts(100, 201));
      await allStored(bed, third);
      expect(await writes(bed)).toEqual([300, 300, 300]);
      expect(await frozen.stop()).toBe(true);
    },
  );
}

test("I4: changes of a key stay in order over kills and take-overs", { timeout }, async () => {
  await using bed = await openBed();
  const items = await primed(bed);
  const appends: (readonly Address[])[] = [];
  for (let round = 0; round < 3; round += 1) {
    await using member = await MemberProcess.start(bed);
    await member.ready();
    for (let turn = 0; turn < 10; turn += 1) {
      const quantity = round * 10 + turn;
      appends.push(
        await items.append([
          update(item(1, `turn ${quantity}`)),
          ...(turn % 3 === 0 ? [remove(2)] : [insert(item(2))]),
        ]),
      );
    }
    member.kill("SIGKILL");
  }
  await using running = bed.start();
  await running.applied(lastEnds(appends), deadlineMs);
  expect(await bed.rows()).toEqual([item(0), item(1, "turn 29")]);
  const history = await bed.query("SELECT name FROM public.writes WHERE id = 1 ORDER BY at");
  const turns = history.map(([name]) => Number(name?.slice("turn ".length)));
  expect(turns).toEqual(turns.toSorted((a, b) => a - b));
  expect(new Set(turns).size).toBe(turns.length);
});

test("I7: a target that dies in the middle and comes back loses nothing", { timeout: 120_000 }, async () => {
  await using own = await startPostgres({ major: 18 });
  await using bed = await DeliveryBed.open(await own.createDatabase());
  const items = await primed(bed);
  await using running = bed.start({ batchRows: 20 });
  const first = await items.append(inserts(100));
  await running.applied(first, deadlineMs);
  await own.kill();
  const second = await items.append(inserts(100, 101));
  await running.until("the partition to wait", ({ tables }) => tables[0]?.state === "retrying");
  expect(running.delivery.status().tables[0]?.error?.code).toBe("sink.connection_lost");
  await own.start();
  await running.applied(second, deadlineMs);
  await bed.reconnect();
  expect(await writes(bed)).toEqual([200, 200, 200]);
  expect(bed.logger.of("partition is held up, tries again").length).toBeGreaterThan(0);
  expect(bed.logger.of("partition goes on").length).toBeGreaterThan(0);
  // Waited for, not given up and looked at again later.
  expect(bed.logger.of("table stopped")).toEqual([]);
});

test(
  "I7: connections that are cut again and again, also inside COMMIT, lose and repeat nothing",
  { timeout },
  async () => {
    await using bed = await openBed();
    const items = await primed(bed, 2);
    await using proxy = await TcpProxy.start(Number(new URL(bed.url).port));
    await using sink = openTarget(proxy.through(bed.url));
    await using running = bed.start({ sink, batchRows: 10 });
    const appends: (readonly Address[])[] = [];
    for (let round = 0; round < 24; round += 1) {
      const cut = (["before", "after", "answer"] as const)[round % 3] ?? "before";
      const planned = proxy.cutOn({ direction: "to-server", match: "COMMIT\0", cut });
      appends.push(await items.append(inserts(40, 1 + round * 40)));
      await planned.fired;
      if (round % 4 === 0) proxy.cut();
    }
    await running.applied(lastEnds(appends), deadlineMs);
    expect(await writes(bed)).toEqual([960, 960, 960]);
  },
);

test("I7: stops within its limit, with nothing lost, also while the target hangs", { timeout }, async () => {
  await using bed = await openBed();
  const items = await primed(bed);
  await using proxy = await TcpProxy.start(Number(new URL(bed.url).port));
  const hung = openTarget(proxy.through(bed.url));
  const running = bed.start({ sink: hung, timing: { stopMs: 500 } });
  await running.applied(await items.append(inserts(10)));
  proxy.blackhole();
  const ends = await items.append(inserts(10, 11));
  await running.until("the change to be on its way", ({ lagRows }) => lagRows > 0n);
  const beganMs = performance.now();
  await running[Symbol.asyncDispose]();
  expect(performance.now() - beganMs).toBeLessThan(5000);
  expect(running.failure).toBe(null);
  expect(running.delivery.status().state).toBe("stopped");
  proxy.cut();
  proxy.restore();
  await hung[Symbol.asyncDispose]();
  await using again = bed.start();
  await again.applied(ends, deadlineMs);
  expect(await writes(bed)).toEqual([20, 20, 20]);
});
