import { randomBytes } from "node:crypto";
import { openKafkaEventLog } from "@datatrace/event-log-kafka";
import { testPostgres, waitFor } from "@datatrace/testkit";
import type { TestPostgres } from "@datatrace/testkit";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import type { CommandProcess } from "./command-process.ts";
import { KafkaBed } from "./kafka-bed.ts";
import { LiveLoad } from "./live-load.ts";
import { PipelineBed, printed } from "./pipeline-bed.ts";

let server: TestPostgres;
let kafka: KafkaBed;
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
    await bed.equal(ledgers, 90_000);
    await bed.equal(counters, 60_000);
    for (const service of [...captures, ...sinks]) {
      await waitFor(async () => (await fetch(`${await service.serviceUrl()}/health/ready`)).status === 200, {
        deadlineMs: 20_000,
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
      await waitFor(async () => (await newest()) > from + 30, { deadlineMs: 30_000, what: "rows to be committed" });
      const count = `SELECT count(*) FROM ledger WHERE id <= ${from + 30}`;
      const wanted = await printed(bed.source, count);
      await waitFor(async () => (await printed(bed.target, count)) === wanted, {
        deadlineMs: 60_000,
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
    for (const old of [...captures]) {
      captures.push(bed.startService("capture-postgres", bed.file));
      await captures.at(-1)?.serviceUrl();
      old.signal("SIGTERM");
      await old.exits(0, 15_000);
      captures = captures.filter((one) => one !== old);
      await progress("a capture service was rolled");
    }
    for (const old of [...sinks]) {
      sinks.push(bed.startService("sink-postgres", bed.file));
      await sinks.at(-1)?.serviceUrl();
      old.signal("SIGTERM");
      await old.exits(0, 15_000);
      sinks = sinks.filter((one) => one !== old);
      await progress("a sink service was rolled");
    }
    await load.stop();
    await bed.equal(ledgers, 30_000);
    await bed.equal(counters, 30_000);
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
  }, 400_000);
});
