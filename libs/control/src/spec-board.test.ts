import { randomBytes } from "node:crypto";
import { Secret } from "@datatrace/core";
import type { EventLog } from "@datatrace/core";
import { openSqliteEventLog } from "@datatrace/event-log-sqlite";
import { RecordingLogger, temporaryDirectory } from "@datatrace/testkit";
import { expect, test } from "vitest";
import { specPartition, specTopic } from "./control-topics.ts";
import { SecretKeys } from "./secret-keys.ts";
import { SpecBoard } from "./spec-board.ts";

const never = new AbortController().signal;
const keys = SecretKeys.parse(randomBytes(32).toString("base64"));

async function openLog(): Promise<{ log: EventLog } & AsyncDisposable> {
  const folder = await temporaryDirectory("spec-board");
  const log = await openSqliteEventLog({ directory: folder.path });
  return {
    log,
    [Symbol.asyncDispose]: async () => {
      await log[Symbol.asyncDispose]();
      await folder[Symbol.asyncDispose]();
    },
  };
}

function text(value: string): Uint8Array {
  return new TextEncoder().encode(value);
}

const wishes = [
  { id: "shop.shop", document: { name: "shop", url: new Secret("planted one"), left: undefined } },
  { id: "crm.main", document: { name: "crm", url: new Secret("planted two") } },
];

test("I8: specs are in the log without their secrets, and come back with them", async () => {
  await using opened = await openLog();
  const { log } = opened;
  const board = await SpecBoard.open(log, "captures", new RecordingLogger(), never);
  expect(await board.look(never)).toEqual([]);
  expect(await board.look(never)).toBeNull();
  expect(await board.wish(wishes, keys, never)).toEqual(["shop.shop", "crm.main"]);
  const records = await log.latestByKey(specTopic("captures").name);
  expect(records.map(({ value }) => Buffer.from(value ?? []).toString()).join("\n")).not.toContain("planted");
  const specs = (await board.look(never)) ?? [];
  expect(specs.map(({ id, state }) => `${id} ${state}`).toSorted()).toEqual(["crm.main running", "shop.shop running"]);
  const shop = specs.find(({ id }) => id === "shop.shop");
  const document = shop === undefined ? null : (board.document(shop, keys) as { url: Secret });
  expect(document?.url.reveal()).toBe("planted one");
});

test("the same wish again writes nothing; another one, and another key, do", async () => {
  await using opened = await openLog();
  const board = await SpecBoard.open(opened.log, "captures", new RecordingLogger(), never);
  await board.wish(wishes, keys, never);
  const before = await board.specs(never);
  expect(await board.wish(wishes, keys, never)).toEqual([]);
  expect(await board.specs(never)).toEqual(before);
  const changed = { id: "crm.main", document: { name: "crm", url: new Secret("another") } };
  expect(await board.wish([changed], keys, never)).toEqual(["crm.main"]);
  const other = SecretKeys.parse(randomBytes(32).toString("base64"));
  expect(await board.wish([changed], other, never)).toEqual(["crm.main"]);
});

test("removed, decommissioned, forgotten: only a status of the present revision counts", async () => {
  await using opened = await openLog();
  const board = await SpecBoard.open(opened.log, "deliveries", new RecordingLogger(), never);
  const find = async () => (await board.specs(never)).filter(({ id }) => id === "shop.shop");
  await board.wish(wishes, keys, never);
  await board.remove(await find(), never);
  const removed = await find();
  expect(removed).toMatchObject([{ state: "removed" }]);
  expect(await board.gone(removed, never)).toEqual(new Set());
  for (const spec of removed) await board.decommissioned(spec, never);
  expect(await board.gone(await board.specs(never), never)).toEqual(new Set(["shop.shop"]));
  // Wanted again: it begins afresh, and what was said of the earlier one does not hold.
  await board.wish(wishes, keys, never);
  expect(await board.gone(await board.specs(never), never)).toEqual(new Set());
  await board.forget(["shop.shop"], never);
  expect(await find()).toEqual([]);
  expect((await board.specs(never)).map(({ id }) => id)).toEqual(["crm.main"]);
});

test("a record that cannot be read is said, and holds up no other", async () => {
  await using opened = await openLog();
  const logger = new RecordingLogger();
  const board = await SpecBoard.open(opened.log, "captures", logger, never);
  await board.wish(wishes, keys, never);
  await using writer = await opened.log.openWriter("somebody");
  const place = { topic: specTopic("captures").name, partition: 3 };
  await writer.append([
    { ...place, key: text("broken"), value: text("{ planted") },
    { ...place, key: text("later"), value: text(JSON.stringify({ version: 2, revision: "x", state: "running" })) },
  ]);
  expect((await board.specs(never)).map(({ id }) => id).toSorted()).toEqual(["crm.main", "shop.shop"]);
  expect(logger.of("spec cannot be read")).toHaveLength(2);
  expect(JSON.stringify(logger.lines)).not.toContain("planted");
});

test("two that write at the same moment both get through", async () => {
  await using opened = await openLog();
  const board = await SpecBoard.open(opened.log, "captures", new RecordingLogger(), never);
  await Promise.all(
    Array.from({ length: 8 }, (_, index) =>
      board.wish([{ id: `p${index}.s`, document: { name: `p${index}` } }], keys, never),
    ),
  );
  expect(await board.specs(never)).toHaveLength(8);
});

test("the partition of a spec is a public contract: it never changes", () => {
  expect(["shop.shop", "crm.main", "a.b"].map((id) => specPartition(id))).toEqual([0, 2, 12]);
});
