import { describe, expect, it } from "vitest";
import { expectCode, newTopic, sharedLog, textRecord, unique } from "./event-log-case.ts";
import type { CreateEventLog } from "./event-log-harness.ts";
import { Probe } from "./event-log-probe.ts";

export function describeTopics(create: CreateEventLog): void {
  describe("topics", () => {
    const shared = sharedLog(create);

    it("are made once and found again as they were asked for", async () => {
      const { log } = shared;
      const spec = { name: unique("orders"), partitions: 3, cleanup: "delete" } as const;
      expect(await log.topic(spec.name)).toBeNull();
      const made = await log.ensureTopic(spec);
      expect(made).toEqual({ ...spec, epoch: made.epoch });
      expect(await log.ensureTopic(spec)).toEqual(made);
      expect(await log.topic(spec.name)).toEqual(made);
      await using other = await shared.harness.open();
      expect(await other.ensureTopic(spec)).toEqual(made);
    });

    it("refuse another partition count or clean-up policy", async () => {
      const { log } = shared;
      const spec = { name: unique("orders"), partitions: 2, cleanup: "delete" } as const;
      const made = await log.ensureTopic(spec);
      await expectCode(log.ensureTopic({ ...spec, partitions: 3 }), "log.partitions_changed");
      await expectCode(log.ensureTopic({ ...spec, cleanup: "compact" }), "log.partitions_changed");
      expect(await log.topic(spec.name)).toEqual(made);
    });

    it("are one topic when two clients make it at the same time", async () => {
      await using other = await shared.harness.open();
      const spec = { name: unique("raced"), partitions: 2, cleanup: "delete" } as const;
      const [one, two] = await Promise.all([shared.log.ensureTopic(spec), other.ensureTopic(spec)]);
      expect(one).toEqual(two);
    });

    it("are listed by prefix, sorted", async () => {
      const { log } = shared;
      const prefix = unique("shop_%");
      for (const name of ["b", "a.z", "a"]) {
        await log.ensureTopic({ name: `${prefix}.${name}`.replaceAll("%", "-"), partitions: 1, cleanup: "delete" });
      }
      const legal = prefix.replaceAll("%", "-");
      expect(await log.topics(`${legal}.`)).toEqual([`${legal}.a`, `${legal}.a.z`, `${legal}.b`]);
      expect(await log.topics(`${legal}.a.`)).toEqual([`${legal}.a.z`]);
      expect(await log.topics(unique("nothing"))).toEqual([]);
    });

    it("start empty", async () => {
      const topic = await newTopic(shared.log, "delete", 2);
      const bounds = await shared.log.bounds({ topic: topic.name, partition: 1 });
      expect(bounds.earliest).toBe(bounds.end);
    });

    it("that do not exist are log.topic_unknown", async () => {
      const { log } = shared;
      const topic = await newTopic(log);
      await expectCode(log.bounds({ topic: unique("none"), partition: 0 }), "log.topic_unknown");
      await expectCode(log.bounds({ topic: topic.name, partition: 1 }), "log.topic_unknown");
      await using writer = await log.openWriter(unique("writer"));
      await expectCode(
        writer.append([textRecord(topic.name, "with"), textRecord(unique("none"), "without")]),
        "log.topic_unknown",
      );
      const [range] = await writer.append([textRecord(topic.name, "alone")]);
      await using probe = await Probe.open(log, unique("group"), [topic.name]);
      await probe.through(range === undefined ? [] : [range]);
      expect(probe.values()).toEqual(["alone"]);
    });

    it("I2: raise their epoch when they are deleted and made again, and keep nothing of before", async () => {
      const { log } = shared;
      const first = await newTopic(log, "delete", 2);
      const kept = await newTopic(log);
      const group = unique("group");
      await using writer = await log.openWriter(unique("writer"));
      await writer.append([
        textRecord(first.name, "old"),
        textRecord(first.name, "old", null, 1),
        textRecord(kept.name, "kept"),
      ]);
      await log.registerGroup(group, [first.name, kept.name]);
      await log.deleteTopics([first.name, unique("none")]);
      expect(await log.topic(first.name)).toBeNull();
      expect(await log.topics(first.name)).toEqual([]);
      await expectCode(log.bounds({ topic: first.name, partition: 0 }), "log.topic_unknown");

      const second = await log.ensureTopic({ name: first.name, partitions: 1, cleanup: "compact" });
      expect(second.epoch).toBeGreaterThan(first.epoch);
      expect(await log.latestByKey(second.name)).toEqual([]);
      const ranges = await writer.append([textRecord(second.name, "new", "key"), textRecord(kept.name, "more")]);
      await using probe = await Probe.open(log, group, [second.name, kept.name]);
      await probe.through(ranges);
      expect(probe.values(second.name)).toEqual(["new"]);
      expect(probe.values(kept.name)).toEqual(["kept", "more"]);
    });

    it("that are deleted under a reader are revoked, and assigned again when they are back", async () => {
      const { log } = shared;
      const spec = { name: unique("topic"), partitions: 1, cleanup: "delete" } as const;
      await log.ensureTopic(spec);
      await using writer = await log.openWriter(unique("writer"));
      await using probe = await Probe.open(log, unique("group"), [spec.name]);
      await probe.through(await writer.append([textRecord(spec.name, "old")]));
      await log.deleteTopics([spec.name]);
      await probe.until(() => probe.held.size === 0, "the revocation");
      await log.ensureTopic(spec);
      await probe.until(() => probe.held.size === 1, "the new topic");
      await probe.through(await writer.append([textRecord(spec.name, "new")]));
      expect(probe.values()).toEqual(["old", "new"]);
    });
  });
}
