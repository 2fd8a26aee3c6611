import { spawn } from "node:child_process";
import { chmodSync, existsSync, statSync } from "node:fs";
import { join } from "node:path";
import { Client } from "pg";
import { describe, expect, test } from "vitest";
import { startPostgres } from "./postgres-server.ts";
import { isAlive } from "./process-tree.ts";
import { temporaryDirectory } from "./temporary-directory.ts";
import { availablePostgres, testPostgres } from "./test-postgres.ts";
import { waitFor } from "./wait-for.ts";

const deadlineMs = 20_000;

async function query(url: string, sql: string): Promise<readonly unknown[]> {
  const client = new Client({ connectionString: url });
  client.on("error", () => undefined);
  await client.connect();
  try {
    return (await client.query<Record<string, unknown>>(sql)).rows.flatMap((row) => Object.values(row));
  } finally {
    await client.end();
  }
}

describe.for(await availablePostgres())("PostgreSQL %i", (major) => {
  test("is of that version, logical, UTF-8, and takes settings", async () => {
    await using server = await startPostgres({ major, settings: { max_wal_senders: "7", TimeZone: "Asia/Tokyo" } });
    const asked = ["wal_level", "max_wal_senders", "max_replication_slots", "TimeZone", "server_encoding", "fsync"];
    const settings = asked.map((name) => `current_setting('${name}')`).join(" || ' ' || ");
    expect(await query(server.url, `SELECT ${settings}`)).toEqual(["logical 7 16 Asia/Tokyo UTF8 off"]);
    expect(await query(server.url, "SELECT current_setting('server_version_num')::int / 10000")).toEqual([major]);
  });

  test("keeps its data, port and url through stop, restart and kill", async () => {
    await using server = await startPostgres({ major, durable: true });
    const { url, pid } = server;
    await query(url, "CREATE TABLE t AS SELECT 7 AS a");
    await server.restart();
    expect(server.pid).not.toBe(pid);
    await server.kill();
    await expect(query(url, "SELECT a FROM t")).rejects.toMatchObject({ code: "ECONNREFUSED" });
    await server.start();
    expect(await query(url, "SELECT a FROM t")).toEqual([7]);
    await server.stop();
    expect(server.pid).toBeUndefined();
    await server.stop();
    await server.start();
    await expect(server.start()).rejects.toThrow("runs already");
    expect(server.url).toBe(url);
    expect(await query(url, "SELECT current_setting('fsync')")).toEqual(["on"]);
  });

  test("a killed server leaves no child, a disposed one nothing at all", async () => {
    const server = await startPostgres({ major });
    const client = new Client({ connectionString: server.url });
    client.on("error", () => undefined);
    await client.connect();
    const backend = (await client.query<{ pid: number }>("SELECT pg_backend_pid() AS pid")).rows[0]?.pid ?? 0;
    expect(isAlive(backend)).toBe(true);
    const { pid = 0, dataDir = "" } = server;
    await server.kill();
    expect([isAlive(pid), isAlive(backend)]).toEqual([false, false]);
    await server[Symbol.asyncDispose]();
    expect(existsSync(dataDir)).toBe(false);
    await client.end();
  });

  test("with a password, only that password opens it", async () => {
    await using server = await startPostgres({ major, password: "it's a $ecret/ü" });
    expect(await query(server.url, "SELECT 1")).toEqual([1]);
    const wrong = new URL(server.url);
    wrong.password = "guess";
    await expect(query(wrong.href, "SELECT 1")).rejects.toMatchObject({ code: "28P01" });
    await server.restart();
    expect(await query(await server.createDatabase(), "SELECT 1")).toEqual([1]);
  });

  test("many start at once, each on a port of its own", async () => {
    const servers = await Promise.all(Array.from({ length: 8 }, () => startPostgres({ major })));
    expect(new Set(servers.map(({ port }) => port)).size).toBe(8);
    const answers = await Promise.all(servers.map(({ url }) => query(url, "SELECT 1")));
    expect(answers.flat()).toEqual([1, 1, 1, 1, 1, 1, 1, 1]);
    await Promise.all(servers.map((server) => server[Symbol.asyncDispose]()));
    expect(servers.filter(({ dataDir }) => existsSync(dataDir ?? ""))).toEqual([]);
  });

  test("databases are apart from each other", async () => {
    await using server = await testPostgres(major);
    const [one, other] = [await server.createDatabase(), await server.createDatabase()];
    await query(one, "CREATE TABLE t (a int)");
    expect(await query(other, "SELECT to_regclass('t')")).toEqual([null]);
  });

  test("says in its log why it does not start", async () => {
    await expect(startPostgres({ major, settings: { shared_buffers: "much" } })).rejects.toThrow(
      /did not start:[\s\S]*invalid value for parameter "shared_buffers"/,
    );
  });

  test("can be given up while it starts", async () => {
    const reason = new Error("enough");
    await expect(startPostgres({ major }, AbortSignal.abort(reason))).rejects.toBe(reason);
  });

  test("a folder of one's own is kept, and found again", async () => {
    await using folder = await temporaryDirectory("kept-data");
    // The server's user must get through to it.
    const dataDir = join(folder.path, "data");
    chmodSync(folder.path, 0o755);
    {
      await using server = await startPostgres({ major, dataDir });
      await query(server.url, "CREATE TABLE t AS SELECT 7 AS a");
    }
    expect(statSync(join(dataDir, "PG_VERSION")).isFile()).toBe(true);
    await using again = await startPostgres({ major, dataDir });
    expect(await query(again.url, "SELECT a FROM t")).toEqual([7]);
  });
});

test("a server at an url of somebody's own is used, and gets its databases dropped, slots included", async () => {
  await using server = await startPostgres({ major: 18 });
  const before = process.env["POSTGRES_18_URL"];
  process.env["POSTGRES_18_URL"] = server.url;
  try {
    {
      await using shared = await testPostgres(18);
      expect(shared.url).toBe(server.url);
      const database = await shared.createDatabase();
      await query(database, "SELECT pg_create_logical_replication_slot('left_behind', 'pgoutput')");
    }
    expect(await query(server.url, "SELECT count(*)::int FROM pg_replication_slots")).toEqual([0]);
    expect(await query(server.url, "SELECT datname FROM pg_database WHERE datname LIKE 'test\\_%'")).toEqual([]);
  } finally {
    if (before === undefined) delete process.env["POSTGRES_18_URL"];
    else process.env["POSTGRES_18_URL"] = before;
  }
});

test("after kill -9 of a process no server of its own is left, nor any file", async () => {
  const program = `
import { startPostgres } from ${JSON.stringify(join(import.meta.dirname, "postgres-server.ts"))};
const servers = await Promise.all([startPostgres({ major: 18 }), startPostgres({ major: 18 })]);
process.kill(servers[1].pid, "SIGSTOP");
console.log(JSON.stringify(servers.map(({ pid, dataDir }) => ({ pid, dataDir }))));
`;
  const owner = spawn(process.execPath, ["--input-type=module", "--eval", program], {
    stdio: ["ignore", "pipe", "inherit"],
  });
  let printed = "";
  owner.stdout.setEncoding("utf8").on("data", (data: string) => {
    printed += data;
  });
  await waitFor(() => printed.endsWith("\n"), { deadlineMs, what: "the servers to start" });
  const servers = JSON.parse(printed) as readonly { pid: number; dataDir: string }[];
  expect(servers.map(({ pid }) => isAlive(pid))).toEqual([true, true]);
  owner.kill("SIGKILL");
  await waitFor(() => !servers.some(({ pid }) => isAlive(pid)), { deadlineMs, what: "the servers to end" });
  await waitFor(() => !servers.some(({ dataDir }) => existsSync(dataDir)), { deadlineMs, what: "the data to go" });
});
