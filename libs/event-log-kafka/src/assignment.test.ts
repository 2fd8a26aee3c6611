import fc from "fast-check";
import type { TopicPartition } from "@datatrace/core";
import { expect, test } from "vitest";

import { assignPartitions } from "./assignment.ts";
import type { GroupMemberClaim } from "./assignment.ts";
import { placeName } from "./offsets.ts";

function partitionsOf(topic: string, count: number): TopicPartition[] {
  return Array.from({ length: count }, (_, partition) => ({ topic, partition }));
}

function member(id: string, topics: readonly string[], owned: readonly TopicPartition[] = [], generation = 1) {
  return { id, topics: new Set(topics), owned, generation } satisfies GroupMemberClaim;
}

const topics = ["a", "b", "c"];
const members = fc
  .uniqueArray(fc.record({ id: fc.nat(50), wants: fc.subarray(topics), generation: fc.nat(3) }), {
    selector: ({ id }) => id,
    minLength: 1,
    maxLength: 6,
  })
  .map((all) => all.map(({ id, wants, generation }) => member(`m${id}`, wants, [], generation)));

test("every partition that anybody wants goes to exactly one member that wants it, evenly", () => {
  fc.assert(
    fc.property(members, fc.nat(8), fc.nat(8), (all, countA, countB) => {
      const places = [...partitionsOf("a", countA), ...partitionsOf("b", countB)];
      const assigned = assignPartitions(places, all);
      const given = [...assigned].flatMap(([id, own]) => own.map((place) => ({ id, place })));
      const wanted = places.filter(({ topic }) => all.some((one) => one.topics.has(topic)));
      expect(given.map(({ place }) => placeName(place)).toSorted()).toEqual(wanted.map(placeName).toSorted());
      for (const { id, place } of given) {
        const own = assigned.get(id)?.length ?? 0;
        for (const other of all.filter((one) => one.topics.has(place.topic))) {
          expect(own - (assigned.get(other.id)?.length ?? 0)).toBeLessThanOrEqual(1);
        }
        expect(all.find((one) => one.id === id)?.topics.has(place.topic)).toBe(true);
      }
    }),
  );
});

test("what a member has it keeps, as far as that is even", () => {
  const places = partitionsOf("a", 4);
  const before = [member("x", ["a"], places), member("y", ["a"])];
  const assigned = assignPartitions(places, before);
  expect(assigned.get("x")).toHaveLength(2);
  const again = [member("x", ["a"], assigned.get("x")), member("y", ["a"], assigned.get("y"))];
  const names = (id: string, of: typeof assigned): string[] => (of.get(id) ?? []).map(placeName).toSorted();
  const next = assignPartitions(places, again);
  expect([names("x", next), names("y", next)]).toEqual([names("x", assigned), names("y", assigned)]);
  const alone = assignPartitions(places, [member("y", ["a"], assigned.get("y"))]);
  expect(alone.get("y")).toHaveLength(4);
});

test("of two that claim a partition the later generation counts", () => {
  const places = partitionsOf("a", 2);
  const woken = member("woken", ["a"], places, 3);
  const now = member("zz", ["a"], places, 5);
  expect(assignPartitions(places.slice(0, 1), [woken, now]).get("zz")).toHaveLength(1);
});
