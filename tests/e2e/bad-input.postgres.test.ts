import { startPostgres, testPostgres } from "@datatrace/testkit";
import type { TestPostgres } from "@datatrace/testkit";
import { afterAll, beforeAll, expect, test } from "vitest";
import { PipelineBed } from "./pipeline-bed.ts";
import type { JsonLine } from "./command-process.ts";

const planted = "planted-s3cret";

let server: TestPostgres;

beforeAll(async () => {
  server = await testPostgres(18);
});

afterAll(async () => {
  await server[Symbol.asyncDispose]();
});

function errors(records: readonly JsonLine[]): readonly JsonLine[] {
  return records.filter(({ level }) => level === "error");
}

test("a malformed pipeline file: line, path, suggestion; in text and as JSON", async () => {
  await using bed = await PipelineBed.open({ name: "malformed", sync: ["thread_cout: 3"] }, server);
  const json = bed.start("run");
  await json.exits(2);
  expect(json.records).toEqual([
    {
      event: "error",
      level: "error",
      code: "config.field_unknown",
      message: "There is no field `thread_cout`; did you mean `thread_count`?",
      fix: expect.any(String),
      at: `${bed.file}:13 tasks.all.sync.thread_cout`,
    },
  ]);
  const text = bed.startPlain(["check", "pipeline.yaml"]);
  await text.exits(2);
  expect(text.stdout).toBe("");
  expect(text.stderr).toMatch(
    /^error config\.field_unknown: There is no field `thread_cout`; did you mean `thread_count`\?\n {2}at pipeline\.yaml:13 tasks\.all\.sync\.thread_cout\n {2}fix: .+\n$/,
  );
});

test("an unknown table stops the first run, with a suggestion; nothing is left at the source", async () => {
  await using bed = await PipelineBed.open({ name: "unknown_table", objects: ["- table: public.costumers"] }, server);
  await bed.source.query("CREATE TABLE customers (id int PRIMARY KEY)");
  for (const command of ["run", "check"]) {
    const process = bed.start(command);
    await process.exits(1);
    expect(errors(process.records)).toMatchObject([
      { code: "source.table_missing", message: expect.stringContaining("did you mean `public.customers`?") },
    ]);
    expect(process.output).toContain("pipeline.yaml:11");
  }
  const slots = await bed.source.query("SELECT 1 FROM pg_replication_slots WHERE database = current_database()");
  expect(slots.rowCount).toBe(0);
});

test("I8: a wrong password is told by its code, and never by itself", async () => {
  await using locked = await startPostgres({ major: 18, password: "right" });
  await using bed = await PipelineBed.open({ name: "wrong_password" }, locked, server);
  const url = new URL(bed.sourceUrl);
  url.password = planted;
  bed.set("SOURCE_URL", url.href);
  for (const command of ["run", "check"]) {
    const process = bed.start(command, ...(command === "run" ? ["--log-level", "debug"] : []));
    await process.exits(1);
    expect(errors(process.records)).toMatchObject([{ code: "source.login_failed", fix: expect.stringMatching(/./) }]);
    expect(process.output).not.toContain(planted);
    expect(process.output).not.toContain("    at ");
  }
});

test("a missing grant is named with the statement that gives it", async () => {
  await using bed = await PipelineBed.open({ name: "missing_grant" }, server);
  await bed.source.query("CREATE TABLE orders (id int PRIMARY KEY)");
  const role = `reader_${Date.now()}`;
  await bed.source.query(`CREATE ROLE ${role} LOGIN PASSWORD '${planted}'`);
  try {
    const url = new URL(bed.sourceUrl);
    url.username = role;
    url.password = planted;
    bed.set("SOURCE_URL", url.href);
    for (const command of ["run", "check"]) {
      const process = bed.start(command);
      await process.exits(1);
      expect(errors(process.records)).toContainEqual(
        expect.objectContaining({ code: "source.grant_missing", fix: expect.stringContaining(role) }),
      );
      expect(process.output).not.toContain(planted);
    }
  } finally {
    await bed.source.query(`DROP OWNED BY ${role}; DROP ROLE ${role}`);
  }
});

test("a wrong version of Node is refused before anything is loaded", async () => {
  await using bed = await PipelineBed.open({ name: "old_node" }, server);
  const pretend = "Object.defineProperty(process.versions,'node',{value:'22.18.0'})";
  const process = bed.startPlain(["run", bed.file, "--json"], ["--import", `data:text/javascript,${pretend}`]);
  await process.exits(2);
  expect(process.stdout).toBe("");
  expect(process.log).toMatchObject([{ code: "config.node_version", message: expect.stringContaining("22.18.0") }]);
});

test("wrong usage: suggestion, exit code 2", async () => {
  await using bed = await PipelineBed.open({ name: "usage" }, server);
  const process = bed.startPlain(["rnu", bed.file]);
  await process.exits(2);
  expect(process.stderr).toBe(
    "error config.usage: There is no command `rnu`; did you mean `run`?\n  fix: Run `npm start -- help`.\n",
  );
});

test("a port that is taken is an error when it was asked for", async () => {
  await using bed = await PipelineBed.open({ name: "port" }, server);
  await bed.source.query("CREATE TABLE orders (id int PRIMARY KEY)");
  const first = bed.start("run", "--only", "capture");
  const port = new URL(await first.adminUrl()).port;
  const second = bed.start("run", "--only", "capture", "--port", port);
  await second.exits(2);
  expect(errors(second.records)).toMatchObject([{ code: "config.port_taken" }]);
  expect(first.running).toBe(true);
});
