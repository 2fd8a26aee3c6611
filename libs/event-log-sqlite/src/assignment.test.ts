import fc from "fast-check";
import { expect, test } from "vitest";

import { assign } from "./assignment.ts";

const topics = ["a", "b", "c"];
const members = fc.uniqueArray(
  fc.record({
    id: fc.string({ minLength: 1, maxLength: 3 }),
    topics: fc.subarray(topics).map((some) => new Set(some)),
  }),
  { selector: (member) => member.id, maxLength: 6 },
);
const partitions = fc
  .array(fc.constantFrom(...topics), { maxLength: 20 })
  .map((some) => some.map((topic, id) => ({ id, topic })));

test("every partition that somebody wants has one owner that wants it", () => {
  fc.assert(
    fc.property(partitions, members, fc.array(fc.nat(8)), (all, group, before) => {
      const owners = new Map(before.map((number, id) => [id, group[number]?.id ?? "gone"]));
      const next = assign(all, group, owners);
      for (const { id, topic } of all) {
        const wanting = group.filter((member) => member.topics.has(topic)).map((member) => member.id);
        const owner = next.get(id);
        expect(owner === undefined ? wanting.length === 0 : wanting.includes(owner)).toBe(true);
      }
    }),
  );
});

test("nobody has two more than another that could take one", () => {
  fc.assert(
    fc.property(partitions, members, (all, group) => {
      const next = assign(all, group, new Map());
      const load = (id: string): number => [...next.values()].filter((owner) => owner === id).length;
      for (const { id, topic } of all) {
        const owner = next.get(id);
        const wanting = group.filter((member) => member.topics.has(topic));
        const least = Math.min(...wanting.map((member) => load(member.id)));
        expect(owner === undefined || load(owner) - least <= 1).toBe(true);
      }
    }),
  );
});

test("the same members and owners give the same answer, in whatever order they are listed", () => {
  fc.assert(
    fc.property(partitions, members, (all, group) => {
      expect(assign(all, group.toReversed(), new Map())).toEqual(assign(all, group, new Map()));
    }),
  );
});

test("an assignment that is even already stays as it is", () => {
  fc.assert(
    fc.property(partitions, members, (all, group) => {
      const first = assign(all, group, new Map());
      expect(assign(all, group, first)).toEqual(first);
    }),
  );
});

test("a member that leaves moves its own partitions only, one that joins takes no more than its part", () => {
  const all = Array.from({ length: 12 }, (_, id) => ({ id, topic: "a" }));
  const group = (...ids: string[]): { id: string; topics: Set<string> }[] =>
    ids.map((id) => ({ id, topics: new Set(["a"]) }));
  const two = assign(all, group("x", "y"), new Map());
  const three = assign(all, group("x", "y", "z"), two);
  const moved = all.filter(({ id }) => two.get(id) !== three.get(id));
  expect(moved).toHaveLength(4);
  expect(moved.every(({ id }) => three.get(id) === "z")).toBe(true);
  const back = assign(all, group("x", "z"), three);
  expect(all.filter(({ id }) => three.get(id) !== "y" && back.get(id) !== three.get(id))).toEqual([]);
});
