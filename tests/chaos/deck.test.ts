import { globSync, readFileSync } from "node:fs";
import { fileURLToPath } from "node:url";
import { expect, test } from "vitest";
import { dealRounds } from "./deck.ts";
import { failpoints, fits, frozenFaults, plainFaults } from "./faults.ts";

const size = { atFailpoints: 2, plain: 3 };

function names(seed: number, rounds: number) {
  return dealRounds(seed, rounds, size).map(({ topology, faults }) => ({
    topology,
    faults: faults.map(({ name }) => name),
  }));
}

test("a seed always deals the same rounds, another seed others, and more rounds do not change the first", () => {
  expect(names(7, 20)).toEqual(names(7, 20));
  expect(names(7, 20)).not.toEqual(names(8, 20));
  expect(names(7, 40).slice(0, 20)).toEqual(names(7, 20));
});

test("every round has its faults, and only such as its processes allow", () => {
  for (const { topology, faults } of names(3, 40)) {
    expect(faults).toHaveLength(size.atFailpoints + size.plain);
    for (const name of faults) expect(fits(name, topology)).toBe(true);
  }
});

test("a full run deals every fault at least six times, so that three hits of each can be demanded", () => {
  const dealt = names(1, 200).flatMap(({ faults }) => faults);
  const all = [...failpoints.map((failpoint) => failpoint.name), ...frozenFaults, ...plainFaults];
  expect(all.filter((name) => dealt.filter((other) => other === name).length < 6)).toEqual([]);
});

test("the list of failpoints is that of the sources", () => {
  const root = fileURLToPath(new URL("../../", import.meta.url));
  const files = globSync("{libs,services}/*/src/**/*.ts", { cwd: root }).filter((file) => !file.endsWith(".test.ts"));
  const inSources = files.flatMap((file) =>
    [...readFileSync(root + file, "utf8").matchAll(/(?<!\* .*)failpoint\("([\w.]+)"\)/g)].map((match) => match[1]),
  );
  // No round has control topics: those of services that run alone are not in the deck.
  expect(new Set(inSources.filter((name) => name?.startsWith("control.") === false))).toEqual(
    new Set(failpoints.map(({ name }) => name)),
  );
});
