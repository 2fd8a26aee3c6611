import { writeFile } from "node:fs/promises";
import { join } from "node:path";
import { Writable } from "node:stream";
import { temporaryDirectory, testPostgres } from "@datatrace/testkit";
import type { TestPostgres } from "@datatrace/testkit";
import { Client } from "pg";
import { afterAll, beforeAll, expect, test } from "vitest";
import { checkCommand } from "./check-command.ts";
import type { Command } from "./command-context.ts";
import { parseCommandLine } from "./command-line.ts";
import { decommissionCommand } from "./decommission-command.ts";
import { openLogger } from "./open-logger.ts";
import { Output } from "./output.ts";
import { readPipelineFile } from "./pipeline-file.ts";
import { runCommand } from "./run/run-command.ts";
import { statusCommand } from "./status-command.ts";

let server: TestPostgres;

beforeAll(async () => {
  server = await testPostgres(18);
});

afterAll(async () => {
  await server[Symbol.asyncDispose]();
});

function sink() {
  const chunks: string[] = [];
  const stream = new Writable({
    write(chunk, _, done) {
      chunks.push(String(chunk));
      done();
    },
  });
  return { stream, text: () => chunks.join("") };
}

/** Runs a command in this process. */
async function command(run: Command, args: readonly string[], environment: Readonly<Record<string, string>>) {
  const [stdout, stderr] = [sink(), sink()];
  const invocation = parseCommandLine(args, {});
  const output = new Output(invocation.json, { stdout: stdout.stream, stderr: stderr.stream });
  const pipeline = readPipelineFile(invocation.file, environment, output);
  if (pipeline === null) throw new Error(stderr.text());
  const logger = openLogger("warn", output);
  const signal = AbortSignal.timeout(50_000);
  const code = await run({ pipeline, invocation, output, logger, signal });
  return { code, stdout: stdout.text(), stderr: stderr.text() };
}

async function query(url: string, text: string): Promise<readonly unknown[][]> {
  const client = new Client({ connectionString: url });
  await client.connect();
  try {
    return (await client.query<unknown[]>({ text, rowMode: "array" })).rows;
  } finally {
    await client.end();
  }
}

test("one source, two tasks, two targets: check, run in parts, status, decommission", async () => {
  await using folder = await temporaryDirectory("commands");
  const urls = {
    SHOP_URL: await server.createDatabase(),
    WAREHOUSE_URL: await server.createDatabase(),
    LAKE_URL: await server.createDatabase(),
  };
  const file = join(folder.path, "shop.yaml");
  await writeFile(
    file,
    `name: shop
sources:
  shop: { type: postgres, url: "\${SHOP_URL}" }
targets:
  warehouse: { type: postgres, url: "\${WAREHOUSE_URL}" }
  lake: { type: postgres, url: "\${LAKE_URL}" }
tasks:
  items:
    from: shop
    to: [warehouse, lake]
    objects: [{ table: public.item* }]
    sync: { partitions: 2, thread_count: 2 }
  people:
    from: shop
    to: [warehouse]
    objects: [{ table: public.people, to: crm.persons }]
`,
  );
  await query(
    urls.SHOP_URL,
    `CREATE TABLE items (id int PRIMARY KEY, note text); INSERT INTO items SELECT g, 'n' || g FROM generate_series(1, 300) g;
     CREATE TABLE people (id int PRIMARY KEY, name text); INSERT INTO people VALUES (1, 'a'), (2, 'b');`,
  );

  const check = await command(checkCommand, ["check", file], urls);
  expect(check).toMatchObject({ code: 0, stdout: expect.stringMatching(/^2 tables looked at: 0 errors/) });
  expect((await command(statusCommand, ["status", file], urls)).stdout).toMatch(/^Never run/);

  const port = ["--port", "0"];
  const captured = await command(runCommand, ["run", file, "--only", "capture", "--until-caught-up", ...port], urls);
  expect(captured.stdout).toContain("Caught up: everything that was committed is in the event log.");
  expect(captured.code).toBe(0);
  const waiting = await command(statusCommand, ["status", file], urls);
  expect(waiting.stdout).toMatch(/^items {2,}warehouse {2,}300 {2,}0$/m);
  expect(waiting.stdout).toMatch(
    /^people {2,}public\.people {2,}warehouse: crm\.persons {2,}streaming {2,}2 {2,}2 {2,}0/m,
  );

  const delivered = await command(runCommand, ["run", file, "--only", "sink", "--until-caught-up", ...port], urls);
  expect(delivered.stdout).toContain(
    "Caught up: 602 rows applied, the offsets of 5 partitions verified in the targets.",
  );
  expect(delivered.code).toBe(0);
  await query(urls.SHOP_URL, "DELETE FROM items WHERE id > 200; UPDATE people SET name = 'c' WHERE id = 2");
  const whole = await command(runCommand, ["run", file, "--until-caught-up", "--json", ...port], urls);
  expect(whole.stderr).toBe("");
  expect(whole.code).toBe(0);
  for (const url of [urls.WAREHOUSE_URL, urls.LAKE_URL]) {
    expect(await query(url, "SELECT count(*)::int FROM items")).toEqual([[200]]);
  }
  expect(await query(urls.WAREHOUSE_URL, "SELECT * FROM crm.persons ORDER BY id")).toEqual([
    [1, "a"],
    [2, "c"],
  ]);
  const status = await command(statusCommand, ["status", file], urls);
  expect(status.stdout).toMatch(/^items {2,}lake {2,}0 {2,}0$/m);

  await expect(command(decommissionCommand, ["decommission", file], urls)).rejects.toMatchObject({
    code: "config.usage",
  });
  const removed = await command(decommissionCommand, ["decommission", file, "--yes"], urls);
  expect(removed.stdout).toMatch(/Removed\. The next `run` begins afresh\.\n$/);
  const nothing = await command(decommissionCommand, ["decommission", file, "--yes"], urls);
  expect(nothing).toMatchObject({ code: 0, stdout: "Nothing of this pipeline is left.\n" });
  expect(await query(urls.SHOP_URL, "SELECT pubname FROM pg_publication")).toEqual([]);
});

test("findings and failures come with codes, in the exit code too", async () => {
  await using folder = await temporaryDirectory("commands");
  const urls = { SHOP_URL: await server.createDatabase(), WAREHOUSE_URL: "postgres://nobody@127.0.0.1:1/none" };
  const file = join(folder.path, "shop.yaml");
  await writeFile(
    file,
    `name: shop2
sources: { shop: { type: postgres, url: "\${SHOP_URL}" } }
targets: { warehouse: { type: postgres, url: "\${WAREHOUSE_URL}" } }
tasks:
  items:
    from: shop
    to: [warehouse]
    objects: [{ table: public.items }]
`,
  );
  const check = await command(checkCommand, ["check", file, "--json"], urls);
  expect(check.code).toBe(1);
  expect(check.stdout).toContain('"code":"source.table_missing"');
  expect(check.stdout).toContain('"code":"sink.connection_lost"');
  const run = await command(runCommand, ["run", file, "--only", "capture", "--port", "0"], urls);
  expect(run).toMatchObject({ code: 1, stderr: expect.stringContaining("error source.table_missing:") });
  const status = await command(statusCommand, ["status", file], urls);
  expect(status.stdout).toMatch(/^items {2,}warehouse {2,}- {2,}- {2,}sink\.connection_lost: /m);
});
