import { setTimeout as delay } from "node:timers/promises";
import { describe, expect, it } from "vitest";
import { newTopic, sharedLog, textRecord, unique } from "./event-log-case.ts";
import type { CreateEventLog } from "./event-log-harness.ts";
import { EventLogProcess } from "./event-log-process.ts";
import { Probe } from "./event-log-probe.ts";

/** A number from a seed (mulberry32), for the moments at which processes are killed. */
function random(seed: number): () => number {
  let state = seed;
  return () => {
    state = (state + 0x6d2b79f5) | 0;
    let mixed = Math.imul(state ^ (state >>> 15), state | 1);
    mixed ^= mixed + Math.imul(mixed ^ (mixed >>> 7), mixed | 61);
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 4_294_967_296;
  };
}

export function describeProcesses(create: CreateEventLog): void {
  describe("processes", () => {
    const shared = sharedLog(create);
    const kills = Number(process.env["EVENT_LOG_KILLS"] ?? 8);

    it.each(["log.mid_append", "log.before_commit"])(
      "I5: an append that is killed at %s leaves nothing, in no topic",
      async (failpoint) => {
        const { log, harness } = shared;
        const topics = [await newTopic(log, "delete", 2), await newTopic(log)].map((topic) => topic.name);
        const state = await newTopic(log, "compact");
        await using child = await EventLogProcess.start(harness, `${failpoint}=kill@1`);
        const id = unique("writer");
        await child.order({ do: "open_writer", writer: id });
        const lost = child.order({
          do: "append",
          writer: id,
          records: [
            ...topics.map((topic) => textRecord(topic, "half")),
            textRecord(topics[0] ?? "", "half", null, 1),
            textRecord(state.name, "half", "position"),
          ],
        });
        await expect(lost).rejects.toThrow("the child has ended");
        await child.ended();
        await using writer = await log.openWriter(id);
        expect(await log.latestByKey(state.name)).toEqual([]);
        const ranges = await writer.append([
          ...topics.map((topic) => textRecord(topic, "whole")),
          textRecord(topics[0] ?? "", "whole", null, 1),
        ]);
        await using probe = await Probe.open(log, unique("group"), topics);
        await probe.through(ranges);
        expect(probe.values()).toEqual(["whole", "whole", "whole"]);
      },
    );

    it("I5: an append that is killed after its commit is there whole", async () => {
      const { log, harness } = shared;
      const topic = await newTopic(log, "delete", 2);
      const state = await newTopic(log, "compact");
      await using child = await EventLogProcess.start(harness, "log.after_commit=kill@1");
      const id = unique("writer");
      await child.order({ do: "open_writer", writer: id });
      const records = [0, 1].map((partition) => textRecord(topic.name, "kept", null, partition));
      const unanswered = child.order({
        do: "append",
        writer: id,
        records: [...records, textRecord(state.name, "kept", "position")],
      });
      await expect(unanswered).rejects.toThrow("the child has ended");
      await using writer = await log.openWriter(id);
      const ranges = await writer.append([0, 1].map((partition) => textRecord(topic.name, "next", null, partition)));
      await using probe = await Probe.open(log, unique("group"), [topic.name]);
      await probe.through(ranges);
      for (const partition of [0, 1]) {
        expect(probe.values({ topic: topic.name, partition })).toEqual(["kept", "next"]);
      }
      expect((await log.latestByKey(state.name)).map((record) => Buffer.from(record.value ?? []).toString())).toEqual([
        "kept",
      ]);
    });

    it("I2: a writer in another process is fenced", async () => {
      const { log, harness } = shared;
      const topic = await newTopic(log);
      await using child = await EventLogProcess.start(harness);
      const id = unique("writer");
      const append = (value: string): Promise<unknown> =>
        child.order({ do: "append", writer: id, records: [textRecord(topic.name, value)] });
      await child.order({ do: "open_writer", writer: id });
      await append("before");
      await using writer = await log.openWriter(id);
      await expect(append("zombie")).rejects.toThrow("log.fenced");
      const ranges = await writer.append([textRecord(topic.name, "after")]);
      await using probe = await Probe.open(log, unique("group"), [topic.name]);
      await probe.through(ranges);
      expect(probe.values()).toEqual(["before", "after"]);
      await child.order({ do: "open_writer", writer: id });
      await append("back");
      await expect(writer.append([textRecord(topic.name, "zombie")])).rejects.toMatchObject({ code: "log.fenced" });
    });

    it("I2: a writer that is frozen, and wakes after its successor has worked, appends nothing", async () => {
      const { log, harness } = shared;
      const topic = await newTopic(log);
      await using child = await EventLogProcess.start(harness);
      const id = unique("writer");
      await child.order({ do: "open_writer", writer: id });
      await child.order({ do: "append", writer: id, records: [textRecord(topic.name, "before")] });
      child.freeze();
      const zombie = child.order({ do: "append", writer: id, records: [textRecord(topic.name, "zombie")] });
      const outcome = zombie.catch((error: unknown) => error);
      await using writer = await log.openWriter(id);
      await writer.append([textRecord(topic.name, "successor")]);
      child.wake();
      expect(await outcome).toMatchObject({ message: "log.fenced" });
      await using probe = await Probe.open(log, unique("group"), [topic.name]);
      await probe.through(await writer.append([textRecord(topic.name, "end")]));
      expect(probe.values()).toEqual(["before", "successor", "end"]);
    });

    it(
      "I7: killed at random moments, an appending process loses nothing that was acknowledged and halves nothing",
      { timeout: 60_000 + kills * 10_000 },
      async () => {
        const { log, harness } = shared;
        const seed = Number(process.env["EVENT_LOG_SEED"] ?? Math.floor(Math.random() * 2 ** 31));
        console.log(`event log kills: EVENT_LOG_SEED=${seed} EVENT_LOG_KILLS=${kills}`);
        const chance = random(seed);
        const topics = [await newTopic(log, "delete", 2), await newTopic(log, "delete", 2)].map((topic) => topic.name);
        const width = 20;
        const id = unique("writer");
        await using probe = await Probe.open(log, unique("group"), topics);
        let first = 0;
        for (let round = 0; round < kills; round += 1) {
          await using child = await EventLogProcess.start(harness);
          child.begin({ do: "flood", writer: id, topics, width, first });
          await probe.until(() => child.lastRound >= first + 2, "the flood");
          await delay(chance() * 40);
          await child.kill();
          // The next writer settles what the dead one had under way.
          await using writer = await log.openWriter(id);
          const markers = topics.flatMap((topic) =>
            [0, 1].map((partition) => textRecord(topic, "marker", null, partition)),
          );
          await probe.through(await writer.append(markers));
          const counts = new Map<number, number>();
          for (const record of probe.seen) {
            if (record.value !== "marker")
              counts.set(Number(record.value), (counts.get(Number(record.value)) ?? 0) + 1);
          }
          const last = Math.max(...counts.keys());
          expect(last, `seed ${seed}`).toBeGreaterThanOrEqual(child.lastRound);
          for (let one = 0; one <= last; one += 1)
            expect(counts.get(one), `round ${one}, seed ${seed}`).toBe(width * topics.length);
          first = last + 1;
        }
      },
    );
  });
}
