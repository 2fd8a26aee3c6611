import { openSqliteEventLog } from "@datatrace/event-log-sqlite";
import { temporaryDirectory } from "@datatrace/testkit";
import { expect, test } from "vitest";
import { RegisteringLog } from "./registering-log.ts";

test("a topic is registered for every delivery that wants it before it exists", async () => {
  await using folder = await temporaryDirectory("registering-log");
  await using log = await openSqliteEventLog({ directory: folder.path });
  await log.ensureTopic({ name: "shop.public.earlier", partitions: 1, cleanup: "delete" });
  await log.registerGroup("shop.one.warehouse", ["shop.public.earlier"]);
  const registering = new RegisteringLog(log, (topic) =>
    topic === "shop.public.orders" ? ["shop.one.warehouse", "shop.two.lake"] : [],
  );
  await registering.ensureTopic({ name: "shop.public.other", partitions: 1, cleanup: "delete" });
  expect(await log.groupProgress("shop.two.lake")).toEqual([]);
  await registering.ensureTopic({ name: "shop.public.orders", partitions: 2, cleanup: "delete" });
  await registering.ensureTopic({ name: "shop.public.orders", partitions: 2, cleanup: "delete" });
  const topics = async (group: string) =>
    (await log.groupProgress(group)).map(({ topic, partition }) => `${topic}/${partition}`);
  expect(await topics("shop.two.lake")).toEqual(["shop.public.orders/0", "shop.public.orders/1"]);
  expect(await topics("shop.one.warehouse")).toEqual([
    "shop.public.earlier/0",
    "shop.public.orders/0",
    "shop.public.orders/1",
  ]);
});
