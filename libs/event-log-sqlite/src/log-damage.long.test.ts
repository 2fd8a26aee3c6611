import { execFile } from "node:child_process";
import { openSync, readdirSync, rmSync, statSync, writeFileSync, writeSync, closeSync, existsSync } from "node:fs";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { promisify } from "node:util";

import { DataTraceError } from "@datatrace/core";
import { temporaryDirectory } from "@datatrace/testkit";
import Database from "better-sqlite3";
import { expect, test } from "vitest";

import { openSqliteEventLog } from "./sqlite-event-log.ts";

const run = promisify(execFile);
const place = { topic: "orders", partition: 0 };

async function filled(directory: string, count = 200): Promise<void> {
  await using log = await openSqliteEventLog({ directory });
  await log.ensureTopic({ name: "orders", partitions: 1, cleanup: "delete" });
  await using writer = await log.openWriter("writer");
  for (let round = 0; round < count; round += 1) {
    await writer.append([{ ...place, key: null, value: Buffer.alloc(10_000, round) }]);
  }
}

async function codeOf(promise: Promise<unknown>): Promise<string> {
  return await promise.then(
    () => "no error",
    (error: unknown) => (error instanceof DataTraceError ? error.code : String(error)),
  );
}

test("only the owner can read what the log keeps", async () => {
  await using directory = await temporaryDirectory("log");
  const path = join(directory.path, "data", "log");
  await using log = await openSqliteEventLog({ directory: path });
  await log.ensureTopic({ name: "orders", partitions: 1, cleanup: "delete" });
  expect(statSync(path).mode & 0o777).toBe(0o700);
  const files = readdirSync(path);
  expect(files).toContain("log.sqlite-wal");
  for (const file of files) expect(statSync(join(path, file)).mode & 0o077, file).toBe(0);
});

test("a file of another format is refused, and left as it is", async () => {
  await using directory = await temporaryDirectory("log");
  await filled(directory.path, 1);
  const path = join(directory.path, "log.sqlite");
  const database = new Database(path);
  database.pragma("user_version = 99");
  database.close();
  const opening = openSqliteEventLog({ directory: directory.path });
  await expect(opening).rejects.toMatchObject({ code: "log.format_unsupported", detail: { format: 99, supported: 1 } });
  const again = new Database(path);
  expect(again.pragma("user_version", { simple: true })).toBe(99);
  expect(again.prepare("SELECT count(*) FROM batches").pluck().get()).toBe(1);
  again.close();
});

test("a SQLite file of another program, and a file that is none, are refused", async () => {
  await using directory = await temporaryDirectory("log");
  const path = join(directory.path, "log.sqlite");
  const database = new Database(path);
  database.exec("CREATE TABLE theirs (a)");
  database.close();
  expect(await codeOf(openSqliteEventLog({ directory: directory.path }))).toBe("log.format_unsupported");
  for (const file of readdirSync(directory.path)) rmSync(join(directory.path, file));
  writeFileSync(path, "this is a letter to a friend, not a database".repeat(1000));
  expect(await codeOf(openSqliteEventLog({ directory: directory.path }))).toBe("log.corrupt");
});

test("a directory that cannot be written to is log.io_failed", async () => {
  await using directory = await temporaryDirectory("log");
  const file = join(directory.path, "file");
  writeFileSync(file, "");
  expect(await codeOf(openSqliteEventLog({ directory: join(file, "log") }))).toBe("log.io_failed");
});

test("damage to the file is an error for the one who meets it, never a wait and never a wrong record", async () => {
  await using directory = await temporaryDirectory("log");
  await filled(directory.path);
  const path = join(directory.path, "log.sqlite");
  const sizeBytes = statSync(path).size;
  const file = openSync(path, "r+");
  // One byte in the middle: in the bytes of a record, most likely, which SQLite itself does not check.
  for (let at = sizeBytes / 2; at < sizeBytes / 2 + 60_000; at += 5_000)
    writeSync(file, Buffer.from([0xa5]), 0, 1, Math.floor(at));
  closeSync(file);
  await using log = await openSqliteEventLog({ directory: directory.path });
  await using reader = await log.openReader("group", ["orders"]);
  const signal = AbortSignal.timeout(20_000);
  const reading = (async () => {
    for (let offset = 0n; offset < 200n;) {
      for (const event of await reader.poll(signal)) {
        if (event.kind === "assigned") reader.seek(place, 0n);
        if (event.kind !== "batch") continue;
        for (const record of event.records) {
          expect(record.value).toEqual(Buffer.alloc(10_000, Number(record.offset)));
          offset = record.offset + 1n;
        }
      }
    }
  })();
  expect(await codeOf(reading)).toBe("log.corrupt");
});

test("a file that is cut off is an error, for reading and for appending", async () => {
  await using directory = await temporaryDirectory("log");
  await filled(directory.path);
  const path = join(directory.path, "log.sqlite");
  writeFileSync(path, new Uint8Array(8192 * 3));
  expect(await codeOf(openSqliteEventLog({ directory: directory.path }))).toBe("log.corrupt");
});

test("I7: the second file may be lost, and is not believed beside another log", async () => {
  await using directory = await temporaryDirectory("log");
  const committed = async (): Promise<bigint | null | undefined> => {
    await using log = await openSqliteEventLog({ directory: directory.path });
    await log.ensureTopic({ name: "orders", partitions: 1, cleanup: "delete" });
    await log.registerGroup("group", ["orders"]);
    return (await log.groupProgress("group"))[0]?.next;
  };
  await filled(directory.path, 3);
  {
    await using log = await openSqliteEventLog({ directory: directory.path });
    await using reader = await log.openReader("group", ["orders"]);
    await reader.poll(AbortSignal.timeout(10_000));
    await reader.commit(place, 2n);
  }
  expect(await committed()).toBe(2n);
  rmSync(join(directory.path, "leases.sqlite"));
  expect(await committed()).toBeNull();
  {
    await using log = await openSqliteEventLog({ directory: directory.path });
    await using reader = await log.openReader("group", ["orders"]);
    await reader.poll(AbortSignal.timeout(10_000));
    await reader.commit(place, 3n);
  }
  rmSync(join(directory.path, "log.sqlite"));
  expect(existsSync(join(directory.path, "leases.sqlite"))).toBe(true);
  // What the old log's groups had applied must not delete a record of the new one.
  expect(await committed()).toBeNull();
});

const program = fileURLToPath(new URL("test-failing-log.ts", import.meta.url));

test(
  "I7: the end of the log's thread is an error for everything that waits and for everything after",
  { timeout: 30_000 },
  async () => {
    await using directory = await temporaryDirectory("log");
    const hook = `globalThis[Symbol.for("datatrace.failpoints")] = (name) => { if (name === "log.before_commit") process.exit(7); }`;
    const { stdout } = await run(process.execPath, [
      "--import",
      `data:text/javascript,${encodeURIComponent(hook)}`,
      program,
      directory.path,
      "10",
      "5",
    ]);
    // The append under way, the poll, an append by the same writer, anything else.
    expect(JSON.parse(stdout)).toEqual({
      codes: expect.arrayContaining(["log.commit_unknown", "log.closed"]),
      made: 0,
    });
    expect(JSON.parse(stdout).codes).toHaveLength(4);
    await using log = await openSqliteEventLog({ directory: directory.path });
    expect((await log.bounds(place)).end).toBe(0n);
  },
);

test(
  "I5: after a failed write of the disk the outcome is unknown, the writer is refused, and the next one finds it whole",
  { timeout: 30_000 },
  async () => {
    await using directory = await temporaryDirectory("log");
    // A limit of file sizes makes real writes fail in the middle of a commit (EFBIG).
    const command = `ulimit -f 4000; exec "$0" "$@"`;
    const { stdout } = await run("bash", ["-c", command, process.execPath, program, directory.path, "100000", "100"]);
    const { codes, made } = JSON.parse(stdout) as { codes: string[]; made: number };
    expect(made).toBeGreaterThan(10);
    expect(codes.slice(0, 2)).toEqual(["log.commit_unknown", "log.commit_unknown"]);
    await using log = await openSqliteEventLog({ directory: directory.path });
    await using writer = await log.openWriter("writer");
    const { end } = await log.bounds(place);
    expect([BigInt(made), BigInt(made) + 1n]).toContain(end);
    const [range] = await writer.append([{ ...place, key: null, value: null }]);
    expect(range?.first).toBe(end);
  },
);
