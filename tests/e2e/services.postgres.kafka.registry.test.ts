import { randomBytes } from "node:crypto";
import { SpecBoard } from "@datatrace/control";
import { openKafkaEventLog } from "@datatrace/event-log-kafka";
import { RecordingLogger, testPostgres, waitFor } from "@datatrace/testkit";
import type { TestPostgres } from "@datatrace/testkit";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import type { CommandProcess } from "./command-process.ts";
import { KafkaBed } from "./kafka-bed.ts";
import { LiveLoad } from "./live-load.ts";
import { PipelineBed, printed } from "./pipeline-bed.ts";

let server: TestPostgres;
let kafka: KafkaBed;
/** Takes seconds on a machine that has nothing else to do. */
const patienceMs = 120_000;
const keys = randomBytes(32).toString("base64");

beforeAll(async () => {
  [server, kafka] = await Promise.all([testPostgres(18), KafkaBed.start()]);
}, 240_000);

afterAll(async () => {
  await Promise.all([server[Symbol.asyncDispose](), kafka[Symbol.asyncDispose]()]);
});

async function open(name: string): Promise<PipelineBed> {
  const bed = await PipelineBed.open({ name, top: kafka.logLines() }, server);
  bed.set("KAFKA_PASSWORD", kafka.password);
  bed.set("DATATRACE_SECRET_KEYS", keys);
  for (const [variable, value] of Object.entries(kafka.variables())) bed.set(variable, value);
  return bed;
}

interface PartHealth {
  readonly part: string;
  readonly state: string;
  readonly error: { readonly code: string } | null;
}

async function partsOf(service: CommandProcess): Promise<readonly PartHealth[]> {
  const answer = await fetch(`${await service.serviceUrl()}/health/ready`);
  return ((await answer.json()) as { parts: readonly PartHealth[] }).parts;
}

async function hasPart(service: CommandProcess, part: string, state = "running"): Promise<boolean> {
  return (await partsOf(service)).some((one) => one.part === part && one.state === state);
}

/** Whether the service has anything to do with a pipeline: those of earlier tests may be there, too. */
async function mentions(service: CommandProcess, pipeline: string): Promise<boolean> {
  return (await partsOf(service)).some(({ part }) => part.includes(` ${pipeline}.`));
}

const ledgers = "SELECT * FROM ledger ORDER BY id";
const counters = "SELECT * FROM counters ORDER BY id";

describe("two replicas of each service, over Kafka, with specs from the control topics", () => {
  test("I2, I3, I7, I8: killed and rolled under load: no gap, nothing twice, no secret in the log", async () => {
    await using bed = await open("replicas");
    await bed.source.query(`CREATE TABLE counters (id int PRIMARY KEY, n int NOT NULL);
      INSERT INTO counters SELECT g, 0 FROM generate_series(1, 50) g;
      CREATE TABLE ledger (id bigserial PRIMARY KEY, note text);
      INSERT INTO ledger (note) SELECT repeat('before ', 20) FROM generate_series(1, 20000)`);
    // One of each writes the specs from the file; the others know the log only.
    let captures = [bed.startService("capture-postgres", bed.file), bed.startService("capture-postgres")];
    let sinks = [bed.startService("sink-postgres", bed.file), bed.startService("sink-postgres")];
    await bed.equal(ledgers, patienceMs);
    await bed.equal(counters, patienceMs);
    for (const service of [...captures, ...sinks]) {
      await waitFor(async () => (await fetch(`${await service.serviceUrl()}/health/ready`)).status === 200, {
        deadlineMs: patienceMs,
        what: "every replica to be ready, also the one that owns nothing",
      });
    }
    const capture = "capture replicas.shop";
    const owners = async () => {
      const owning = await Promise.all(captures.map(async (one) => one.running && (await hasPart(one, capture))));
      return captures.filter((_, index) => owning[index] === true);
    };
    expect(await owners()).toHaveLength(1);
    for (const sink of sinks) expect(await hasPart(sink, "delivery replicas.all.warehouse")).toBe(true);

    await bed.target
      .query(`CREATE TABLE public.seen (id int, n int, at bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY);
      CREATE FUNCTION see() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN INSERT INTO public.seen (id, n) VALUES (NEW.id, NEW.n); RETURN NEW; END $$;
      CREATE TRIGGER see AFTER INSERT OR UPDATE ON counters FOR EACH ROW EXECUTE FUNCTION see()`);
    const load = new LiveLoad(bed.source);
    const progress = async (what: string) => {
      const newest = async () => Number(await printed(bed.source, "SELECT max(id) FROM ledger"));
      const from = await newest();
      await waitFor(async () => (await newest()) > from + 30, { deadlineMs: patienceMs, what: "rows to be committed" });
      const count = `SELECT count(*) FROM ledger WHERE id <= ${from + 30}`;
      const wanted = await printed(bed.source, count);
      await waitFor(async () => (await printed(bed.target, count)) === wanted, {
        deadlineMs: patienceMs,
        what: `all changes to arrive after ${what}`,
      });
    };
    await progress("the snapshot");

    // kill -9 of the one that captures, and of one of the two that deliver.
    const [owner] = await owners();
    const heirs = captures.filter((one) => one !== owner);
    await owner?.kill();
    await sinks[0]?.kill();
    await progress("kill -9 of one of each");
    captures = [...heirs, bed.startService("capture-postgres")];
    sinks = [...sinks.slice(1), bed.startService("sink-postgres")];
    await progress("their successors' start");

    // A rolling update: each is replaced, and only then ended.
    for (const old of captures) {
      captures = [...captures, bed.startService("capture-postgres", bed.file)];
      await captures.at(-1)?.serviceUrl();
      old.signal("SIGTERM");
      await old.exits(0, 15_000);
      captures = captures.filter((one) => one !== old);
      await progress("a capture service was rolled");
    }
    for (const old of sinks) {
      sinks = [...sinks, bed.startService("sink-postgres", bed.file)];
      await sinks.at(-1)?.serviceUrl();
      old.signal("SIGTERM");
      await old.exits(0, 15_000);
      sinks = sinks.filter((one) => one !== old);
      await progress("a sink service was rolled");
    }
    await load.stop();
    await bed.equal(ledgers, patienceMs);
    await bed.equal(counters, patienceMs);
    expect(await owners()).toHaveLength(1);

    // Each committed row is in the log once: those from before the load as read, the others as inserted.
    const found = await kafka.events("replicas.public.ledger");
    const inserted = found.flatMap((event) =>
      event.kind === "change" && event.op === "c" ? [Number(event.after?.[0])] : [],
    );
    const committed = await printed(bed.source, "SELECT id FROM ledger WHERE note LIKE 'live%' ORDER BY id");
    expect(inserted.toSorted((one, other) => one - other).join("\n")).toBe(committed);
    // And the target has applied nothing twice, and nothing backwards.
    expect(await printed(bed.target, "SELECT id, n FROM seen GROUP BY id, n HAVING count(*) > 1")).toBe("");
    const back = "SELECT 1 FROM (SELECT n, lag(n) OVER (PARTITION BY id ORDER BY at) AS b FROM seen) s WHERE n <= b";
    expect(await printed(bed.target, back)).toBe("");

    await using log = await openKafkaEventLog(kafka.options());
    for (const topic of ["datatrace.control.captures", "datatrace.control.deliveries"]) {
      const records = await log.latestByKey(topic);
      const texts = records.map(({ value }) => Buffer.from(value ?? []).toString()).join("\n");
      expect(records.length).toBeGreaterThan(0);
      expect(texts).not.toContain("postgres://");
    }
    const passwords = [bed.sourceUrl, bed.targetUrl, kafka.password, keys];
    for (const service of [...captures, ...sinks]) {
      for (const secret of passwords) expect(service.output).not.toContain(secret);
      service.signal("SIGTERM");
      await service.exits(0, 15_000);
    }
  }, 600_000);
});

test("removed specs are decommissioned by their owners, a changed one is run anew, and nothing of a pipeline stays", async () => {
  await using bed = await open("leaving");
  await bed.source.query("CREATE TABLE ledger (id int PRIMARY KEY, note text)");
  await bed.source.query("INSERT INTO ledger SELECT g, 'note' FROM generate_series(1, 1000) g");
  const capture = bed.startService("capture-postgres", bed.file);
  const sinks = [bed.startService("sink-postgres", bed.file), bed.startService("sink-postgres")];
  await bed.equal(ledgers, patienceMs);

  // Another file for the same pipeline: whoever runs the spec takes it over, without a start of its own.
  await bed.write({ name: "leaving", top: kafka.logLines(), sync: ["batch_size: 50"] });
  const late = bed.startService("sink-postgres", bed.file);
  await late.line("log", { event: "specs written" }, patienceMs);
  for (const sink of sinks) {
    await waitFor(() => sink.log.filter(({ event }) => event === "delivery starts").length === 2, {
      deadlineMs: patienceMs,
      what: "the changed delivery to be run anew",
    });
  }
  await bed.source.query("INSERT INTO ledger SELECT g, 'note' FROM generate_series(1001, 2000) g");
  await bed.equal(ledgers, patienceMs);

  const command = bed.start("decommission", "--yes");
  await command.exits(0, patienceMs);
  await capture.line("log", { event: "spec is decommissioned", spec: "leaving.shop" }, patienceMs);
  const done = [...sinks, late].filter((sink) => sink.log.some(({ event }) => event === "spec is decommissioned"));
  expect(done).toHaveLength(1);
  expect(await kafka.traces("leaving")).toEqual([]);
  expect(await printed(bed.source, "SELECT 1 FROM pg_replication_slots WHERE database = current_database()")).toBe("");
  expect(await printed(bed.source, "SELECT 1 FROM pg_publication")).toBe("");
  const helpers = "SELECT relname FROM pg_class WHERE relname LIKE '\\_datatrace%' AND relkind = 'r'";
  expect(await printed(bed.target, helpers)).toBe("");
  expect(await printed(bed.target, ledgers)).toBe(await printed(bed.source, ledgers));
  const again = bed.start("decommission", "--yes");
  await again.exits(0, patienceMs);
  expect(again.records).toEqual([{ event: "result", removed: false }]);
  // The services go on, and have nothing to do.
  for (const service of [capture, ...sinks, late]) {
    await waitFor(async () => !(await mentions(service, "leaving")), {
      deadlineMs: patienceMs,
      what: "the part to go",
    });
    expect(await hasPart(service, "specs")).toBe(true);
  }
}, 600_000);

test("specs that no service runs any more are decommissioned by the command", async () => {
  await using bed = await open("orphaned");
  await bed.source.query("CREATE TABLE ledger (id int PRIMARY KEY, note text)");
  await bed.source.query("INSERT INTO ledger SELECT g, 'note' FROM generate_series(1, 100) g");
  const services = [bed.startService("capture-postgres", bed.file), bed.startService("sink-postgres", bed.file)];
  await bed.equal(ledgers, patienceMs);
  for (const service of services) await service.kill();
  // One that cannot open the secrets says so, and can do nothing about it.
  bed.set("DATATRACE_SECRET_KEYS", randomBytes(32).toString("base64"));
  const stranger = bed.startService("capture-postgres");
  bed.set("DATATRACE_SECRET_KEYS", keys);
  const capture = "capture orphaned.shop";
  await waitFor(async () => await hasPart(stranger, capture, "failed"), {
    deadlineMs: patienceMs,
    what: "it to give up",
  });
  expect((await partsOf(stranger)).find(({ part }) => part === capture)?.error?.code).toBe("control.secret_unreadable");
  const command = bed.start("decommission", "--yes");
  await command.exits(0, patienceMs);
  expect(await kafka.traces("orphaned")).toEqual([]);
  expect(await printed(bed.source, "SELECT 1 FROM pg_replication_slots WHERE database = current_database()")).toBe("");
  // Nobody begins it afresh.
  const later = bed.startService("capture-postgres");
  await waitFor(async () => await hasPart(later, "specs"), { deadlineMs: patienceMs, what: "the service to look" });
  expect(await mentions(later, "orphaned")).toBe(false);
}, 600_000);

test("I7: an owner that is killed in the middle of a decommission: its heir ends it", async () => {
  await using bed = await open("cut_off");
  await bed.source.query("CREATE TABLE ledger (id int PRIMARY KEY, note text)");
  await bed.source.query("INSERT INTO ledger SELECT g, 'note' FROM generate_series(1, 100) g");
  // Each dies when all is removed and nothing is said of it.
  bed.set("DATATRACE_FAILPOINTS", "control.before_status=kill");
  const doomed = [bed.startService("capture-postgres", bed.file), bed.startService("sink-postgres", bed.file)];
  await bed.equal(ledgers, patienceMs);
  bed.set("DATATRACE_FAILPOINTS", "");
  const { signal } = new AbortController();
  await using log = await openKafkaEventLog(kafka.options());
  for (const kind of ["captures", "deliveries"] as const) {
    const board = await SpecBoard.open(log, kind, new RecordingLogger(), signal);
    const specs = (await board.specs(signal)).filter(({ id }) => id.startsWith("cut_off."));
    await board.remove(specs, signal);
  }
  for (const service of doomed) expect((await service.ended).signal).toBe("SIGKILL");
  const heirs = [bed.startService("capture-postgres"), bed.startService("sink-postgres")];
  for (const heir of heirs) await heir.line("log", { event: "spec is decommissioned" }, patienceMs);
  await bed.start("decommission", "--yes").exits(0, patienceMs);
  expect(await kafka.traces("cut_off")).toEqual([]);
  expect(await printed(bed.source, "SELECT 1 FROM pg_replication_slots WHERE database = current_database()")).toBe("");
  expect(await printed(bed.target, ledgers)).toBe(await printed(bed.source, ledgers));
}, 600_000);

describe("two that would own the same capture", () => {
  test("I2, I3: an owner that was frozen finds its successor, and leaves it alone", async () => {
    await using bed = await open("frozen");
    await bed.source.query(`CREATE TABLE counters (id int PRIMARY KEY, n int NOT NULL);
      INSERT INTO counters SELECT g, 0 FROM generate_series(1, 50) g;
      CREATE TABLE ledger (id bigserial PRIMARY KEY, note text)`);
    const frozen = bed.startService("capture-postgres", bed.file);
    const sink = bed.startService("sink-postgres", bed.file);
    await bed.equal(counters, patienceMs);
    const successor = bed.startService("capture-postgres");
    await successor.serviceUrl();
    const load = new LiveLoad(bed.source);
    const capture = "capture frozen.shop";
    // The group may have given it to the second one already.
    const [owner, other] = (await hasPart(frozen, capture)) ? [frozen, successor] : [successor, frozen];
    owner.signal("SIGSTOP");
    await waitFor(async () => await hasPart(other, capture), {
      deadlineMs: patienceMs,
      what: "the other to take over",
    });
    owner.signal("SIGCONT");
    await waitFor(async () => (await partsOf(owner)).every(({ part }) => part !== capture), {
      deadlineMs: patienceMs,
      what: "the frozen one to let go",
    });
    await load.stop();
    await bed.equal(ledgers, patienceMs);
    await bed.equal(counters, patienceMs);
    expect((await hasPart(owner, capture)) !== (await hasPart(other, capture))).toBe(true);
    const found = await kafka.events("frozen.public.ledger");
    const inserted = found.flatMap((event) =>
      event.kind === "change" && event.op === "c" ? [Number(event.after?.[0])] : [],
    );
    const committed = await printed(bed.source, "SELECT id FROM ledger ORDER BY id");
    expect(inserted.toSorted((one, another) => one - another).join("\n")).toBe(committed);
    expect(sink.running).toBe(true);
  }, 600_000);

  test("a second owner outside the group is told apart: log.two_owners, and no more fights", async () => {
    await using bed = await open("contested");
    await bed.source.query("CREATE TABLE ledger (id int PRIMARY KEY, note text)");
    const service = bed.startService("capture-postgres", bed.file);
    const capture = "capture contested.shop";
    await using log = await openKafkaEventLog(kafka.options());
    for (let round = 1; round <= 3; round += 1) {
      await waitFor(async () => await hasPart(service, capture), { deadlineMs: patienceMs, what: "it to capture" });
      await using _writer = await log.openWriter("capture.contested.shop");
      await bed.source.query("INSERT INTO ledger VALUES ($1, 'x')", [round]);
      await waitFor(async () => !(await hasPart(service, capture)), {
        deadlineMs: patienceMs,
        what: "it to be fenced",
      });
    }
    await waitFor(async () => await hasPart(service, capture, "failed"), {
      deadlineMs: patienceMs,
      what: "it to give up",
    });
    expect((await partsOf(service)).find(({ part }) => part === capture)?.error?.code).toBe("log.two_owners");
    service.signal("SIGTERM");
    await service.exits(0, 15_000);
  }, 600_000);
});
