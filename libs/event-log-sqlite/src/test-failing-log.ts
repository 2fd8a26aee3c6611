import { DataTraceError, invariant } from "@datatrace/core";

import { openSqliteEventLog } from "./index.ts";

// node test-failing-log.ts DIRECTORY SIZE ROUNDS: appends values of this size until an append fails, tries what a
// caller might try then, and prints as JSON the error codes and how many appends were made. Its caller sees to it that
// they fail.

const [, , directory, sizeBytes, rounds] = process.argv;
invariant(directory !== undefined, "the directory is given");
const codes: string[] = [];
const note = (error: unknown): void => {
  codes.push(error instanceof DataTraceError ? error.code : String(error));
};

const log = await openSqliteEventLog({ directory });
await log.ensureTopic({ name: "orders", partitions: 1, cleanup: "delete" });
const writer = await log.openWriter("writer");
const reader = await log.openReader("group", ["orders"]);
await reader.poll(AbortSignal.timeout(10_000));
const polling = reader.poll(AbortSignal.timeout(10_000)).catch(note);
const value = Buffer.alloc(Number(sizeBytes));
let made = 0;
for (let round = 0; round < Number(rounds) && codes.length === 0; round += 1) {
  const appending = writer.append([{ topic: "orders", partition: 0, key: null, value }]);
  made += (await appending.then((ranges) => ranges.length, note)) ?? 0;
}
await writer.append([{ topic: "orders", partition: 0, key: null, value: null }]).catch(note);
await log.openWriter("other").catch(note);
// The poll ends by itself only where the log's thread has.
if (codes.at(-1) === "log.closed") await polling;
await log[Symbol.asyncDispose]();
console.log(JSON.stringify({ codes, made }));
