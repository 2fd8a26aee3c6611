import { stateTopic } from "@datatrace/core";
import { openKafkaEventLog } from "@datatrace/event-log-kafka";
import { claimPort, testPostgres, waitFor } from "@datatrace/testkit";
import type { TestPostgres } from "@datatrace/testkit";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { KafkaBed } from "./kafka-bed.ts";
import { LiveLoad } from "./live-load.ts";
import { expectLogContents } from "./log-contents.ts";
import { PipelineBed, printed } from "./pipeline-bed.ts";

let server: TestPostgres;
let kafka: KafkaBed;

beforeAll(async () => {
  [server, kafka] = await Promise.all([testPostgres(18), KafkaBed.start()]);
}, 240_000);

afterAll(async () => {
  await Promise.all([server[Symbol.asyncDispose](), kafka[Symbol.asyncDispose]()]);
});

async function open(
  name: string,
  top: readonly string[] = kafka.logLines(),
  sync: readonly string[] = [],
): Promise<PipelineBed> {
  const bed = await PipelineBed.open({ name, top, sync }, server);
  bed.set("KAFKA_PASSWORD", kafka.password);
  return bed;
}

const ledgers = "SELECT * FROM ledger ORDER BY id";
const counters = "SELECT * FROM counters ORDER BY id";
const late = "SELECT * FROM late ORDER BY id";

describe("capture and two sinks as processes of their own, over Kafka and a registry", () => {
  test("I2, I3, I7: kill -9 of each, a broker that dies, a registry that is away: nothing lost, nothing twice", async () => {
    await using bed = await open("services");
    await bed.source.query(`CREATE TABLE counters (id int PRIMARY KEY, n int NOT NULL);
      INSERT INTO counters SELECT g, 0 FROM generate_series(1, 50) g;
      CREATE TABLE ledger (id bigserial PRIMARY KEY, note text);
      INSERT INTO ledger (note) SELECT repeat('before ', 20) FROM generate_series(1, 30000)`);
    const start = (part: "capture" | "sink") => bed.start("run", "--only", part);
    const parts = { capture: start("capture"), first: start("sink"), second: start("sink") };

    // In the middle of the snapshot.
    const rows = async () => Number(await printed(bed.target, "SELECT count(*) FROM ledger").catch(() => "0"));
    await waitFor(async () => (await rows()) > 0, { deadlineMs: 60_000, what: "the snapshot to arrive" });
    await parts.capture.kill();
    parts.capture = start("capture");
    await bed.equal(ledgers, 60_000);
    await bed.equal(counters, 60_000);

    await bed.target
      .query(`CREATE TABLE public.seen (id int, n int, at bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY);
      CREATE FUNCTION see() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN INSERT INTO public.seen (id, n) VALUES (NEW.id, NEW.n); RETURN NEW; END $$;
      CREATE TRIGGER see AFTER INSERT OR UPDATE ON counters FOR EACH ROW EXECUTE FUNCTION see()`);
    const load = new LiveLoad(bed.source);
    // Every row that was committed by now, and some that come: those of each partition, whoever has it.
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
    const metrics = await (await fetch(`${await parts.capture.adminUrl()}/metrics`)).text();
    expect(metrics).toMatch(/^datatrace_rows_total\{/m);
    // The brokers know their size; a number of ours would be made up.
    expect(metrics).not.toMatch(/^datatrace_log_bytes\{/m);
    await parts.first.kill();
    await progress("the end of one sink");
    parts.first = start("sink");
    await parts.capture.kill();
    parts.capture = start("capture");
    await progress("the end of the capture");
    await parts.second.kill();
    parts.second = start("sink");
    await progress("the end of the other sink");
    await kafka.kafka.kill(0);
    await kafka.kafka.start(0);
    await progress("the end of the broker");
    await kafka.registry.kill();
    await progress("the end of the registry");
    await bed.source.query("CREATE TABLE late (id int PRIMARY KEY, note text); INSERT INTO late VALUES (1, 'waited')");
    await parts.capture.line("log", { code: "registry.connection_lost" });
    await kafka.registry.start();
    await bed.equal(late, 60_000);
    await load.stop();

    for (const part of Object.values(parts)) {
      expect(part.running).toBe(true);
      part.signal("SIGTERM");
      await part.exits(0, 15_000);
    }
    await bed.source.query("INSERT INTO late SELECT g, 'in the log only' FROM generate_series(2, 500) g");
    await bed.start("run", "--only", "capture", "--until-caught-up").exits(0);
    const last = bed.start("run", "--only", "sink", "--until-caught-up");
    await last.exits(0);
    expect(last.records.at(-1)).toMatchObject({ event: "result", ok: true, partitionsVerified: 9 });
    for (const query of [ledgers, counters, late]) {
      expect(await printed(bed.target, query)).toBe(await printed(bed.source, query));
    }

    // Each committed row is in the log once: those from before the load as read, the others as inserted.
    const found = await kafka.events("services.public.ledger");
    const inserted = found.flatMap((event) =>
      event.kind === "change" && event.op === "c" ? [Number(event.after?.[0])] : [],
    );
    const committed = await printed(bed.source, "SELECT id FROM ledger WHERE note LIKE 'live%' ORDER BY id");
    expect(inserted.toSorted((one, other) => one - other).join("\n")).toBe(committed);
    // And the target has applied nothing twice, and nothing backwards.
    expect(await printed(bed.target, "SELECT id, n FROM seen GROUP BY id, n HAVING count(*) > 1")).toBe("");
    const back = "SELECT 1 FROM (SELECT n, lag(n) OVER (PARTITION BY id ORDER BY at) AS b FROM seen) s WHERE n <= b";
    expect(await printed(bed.target, back)).toBe("");

    const status = bed.start("status");
    await status.exits(0);
    const [report] = status.records;
    expect(report).toMatchObject({ event: "status", ran: true });
    expect(report).not.toHaveProperty("log");
    expect(report?.["deliveries"]).toMatchObject([{ delivery: "services.all.warehouse", parkedKeys: 0, error: null }]);

    // The group is there for Kafka's own tools.
    expect(await kafka.traces("services")).toEqual(
      expect.arrayContaining(["services.public.ledger", "services.all.warehouse"]),
    );
    await bed.start("decommission", "--yes").exits(0);
    const again = bed.start("decommission", "--yes");
    await again.exits(0);
    expect(again.records).toEqual([{ event: "result", removed: false }]);
    expect(await kafka.traces("services")).toEqual([]);
    expect(await printed(bed.source, "SELECT 1 FROM pg_replication_slots WHERE database = current_database()")).toBe(
      "",
    );
    expect(await printed(bed.source, "SELECT 1 FROM pg_publication")).toBe("");
    const helpers = "SELECT relname FROM pg_class WHERE relname LIKE '\\_datatrace%' AND relkind = 'r'";
    expect(await printed(bed.target, helpers)).toBe("");
    expect(await printed(bed.target, ledgers)).toBe(await printed(bed.source, ledgers));
  }, 300_000);
});

describe("decommission on Kafka", () => {
  const items = "CREATE TABLE items (id int PRIMARY KEY); INSERT INTO items SELECT generate_series(1, 200)";
  const all = "SELECT * FROM items ORDER BY id";

  test("I7: of one delivery: refused while its sink runs; after a kill its group goes, the capture and its topics stay", async () => {
    const sync = ["table_exists_strategy: append"];
    await using bed = await open("one", kafka.logLines(), sync);
    const topics = expect.arrayContaining(["one.public.items"]);
    const group = "one.all.warehouse";
    await bed.source.query(items);
    const capture = bed.start("run", "--only", "capture");
    const sink = bed.start("run", "--only", "sink");
    await bed.equal(all);

    const refused = bed.start("decommission", "--yes", "--delivery", "all.warehouse");
    await refused.exits(1, 60_000);
    expect(refused.records.at(-1)).toMatchObject({
      event: "error",
      code: "log.group_in_use",
      message: expect.stringContaining("delivery all to warehouse"),
      fix: expect.stringContaining("Stop it"),
    });
    await bed.source.query("INSERT INTO items VALUES (1000)");
    await bed.equal(all);
    expect(sink.running).toBe(true);

    await sink.kill();
    const remove = bed.start("decommission", "--yes", "--delivery", "all.warehouse");
    await remove.exits(0, 60_000);
    expect(remove.records.at(-1)).toEqual({ event: "result", removed: true });
    const left = await kafka.traces("one.");
    expect(left).toEqual(topics);
    expect(left).not.toContain(group);
    expect(await printed(bed.target, "SELECT count(*) FROM pg_namespace WHERE nspname = 'datatrace'")).toBe("0");
    const nothing = bed.start("decommission", "--yes", "--delivery", "all.warehouse");
    await nothing.exits(0);
    expect(nothing.records).toEqual([{ event: "result", removed: false }]);
    expect(capture.running).toBe(true);

    await bed.target.query("TRUNCATE items");
    const afresh = bed.start("run", "--only", "sink");
    await bed.equal(all);
    for (const part of [capture, afresh]) {
      part.signal("SIGTERM");
      await part.exits(0, 15_000);
    }
    await bed.start("decommission", "--yes").exits(0, 30_000);
    expect(await kafka.traces("one.")).toEqual([]);
  }, 240_000);

  test("I7: of a capture that was killed within a transaction does not wait until the broker gives that up", async () => {
    await using bed = await open("cut");
    await bed.source.query(items);
    await bed.start("run", "--only", "capture", "--until-caught-up").exits(0);
    // The first append of a start marks the topic of state.
    bed.set("DATATRACE_FAILPOINTS", "log.before_commit=kill");
    const args = ["run", bed.file, "--only", "capture", "--port", "0", "--json"];
    const capture = bed.startPlain(args, ["--import", import.meta.resolve("@datatrace/testkit/failpoints")]);
    expect(await capture.ended).toMatchObject({ signal: "SIGKILL" });
    bed.set("DATATRACE_FAILPOINTS", "");
    await using log = await openKafkaEventLog(kafka.options());
    const reading = log.latestByKey(stateTopic("cut.shop"), AbortSignal.timeout(1000));
    await expect(reading).rejects.toThrow("timeout");

    // The broker would give up 60 s after the transaction began.
    await bed.start("decommission", "--yes").exits(0, 40_000);
    expect(await kafka.traces("cut.")).toEqual([]);
    expect(await printed(bed.source, "SELECT 1 FROM pg_replication_slots WHERE database = current_database()")).toBe(
      "",
    );
  }, 120_000);
});

test("topics and tail show what is in Kafka", async () => {
  expect.hasAssertions();
  await using bed = await open("contents");
  await expectLogContents(bed, "contents", true);
});

describe("a log that cannot be reached is said with code and fix", () => {
  test("check finds nothing wrong with Kafka and registry as they are, and makes nothing", async () => {
    await using bed = await open("right");
    await bed.source.query("CREATE TABLE one (id int PRIMARY KEY)");
    const check = bed.start("check");
    await check.exits(0);
    expect(check.records.filter(({ event }) => event === "error")).toEqual([]);
    const status = bed.start("status");
    await status.exits(0);
    expect(status.records).toEqual([{ event: "status", pipeline: "right", ran: false }]);
    expect(await kafka.traces("right")).toEqual([]);
  });

  test("I8: a wrong broker address, by check and by status", async () => {
    using port = await claimPort();
    await using bed = await open("wrong_broker", kafka.logLines({ broker: `127.0.0.1:${port.port}` }));
    await bed.source.query("CREATE TABLE one (id int PRIMARY KEY)");
    const check = bed.start("check");
    await check.exits(1);
    const wrong = { event: "error", code: "log.connection_lost", fix: expect.stringContaining("brokers run") };
    expect(check.records).toContainEqual(expect.objectContaining({ ...wrong, at: expect.stringMatching(/yaml:3$/) }));
    expect(check.output).not.toContain(kafka.password);
    const status = bed.start("status");
    await status.exits(1);
    expect(status.records).toContainEqual(expect.objectContaining(wrong));
  });

  test("I8: a wrong password, by check and by run, which ends at once", async () => {
    await using bed = await open("wrong_password");
    bed.set("KAFKA_PASSWORD", "wr0ng-passw0rd");
    await bed.source.query("CREATE TABLE one (id int PRIMARY KEY)");
    for (const command of ["check", "run"]) {
      const process = bed.start(command);
      await process.exits(1, 30_000);
      expect(process.records).toContainEqual(
        expect.objectContaining({ event: "error", code: "log.login_failed", fix: expect.stringContaining("password") }),
      );
      expect(process.output).not.toContain("wr0ng-passw0rd");
    }
  });

  test("I8: a registry that is not there, by check; its login is nowhere", async () => {
    using port = await claimPort();
    const registry = `http://127.0.0.1:${port.port}`.replace("//", "//app:planted-passw0rd@");
    await using bed = await open("wrong_registry", kafka.logLines({ registry }));
    await bed.source.query("CREATE TABLE one (id int PRIMARY KEY)");
    const check = bed.start("check");
    await check.exits(1);
    expect(check.records).toContainEqual(
      expect.objectContaining({ event: "error", code: "registry.connection_lost", fix: expect.stringMatching(/./) }),
    );
    expect(check.records).toContainEqual(expect.objectContaining({ code: "config.secret_in_file" }));
    expect(check.output).not.toContain("planted-passw0rd");
  });
});
