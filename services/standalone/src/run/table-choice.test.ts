import { RecordingLogger } from "@datatrace/testkit";
import { splitTableName, TablePattern } from "@datatrace/runtime";
import type { Pipeline, Task } from "@datatrace/runtime";
import { expect, test } from "vitest";
import { TableChoice } from "./table-choice.ts";

function task(id: string, patterns: readonly string[], line: number): Task {
  return {
    id,
    from: "shop",
    to: ["warehouse"],
    mode: "snapshot+stream",
    objects: patterns.map((text, index) => ({ pattern: new TablePattern(text), to: null, line: line + index })),
    sync: { batchRows: 1000, threads: 4, errorStrategy: "quarantine", partitions: 3, tableExistsStrategy: "fail" },
    line,
  };
}

const log = { kind: "embedded", directory: "/data", maxSizeBytes: null } as const;
const names = (...ids: readonly string[]) => ids.map((id) => splitTableName(id));

function choice(tasks: readonly Task[], captured: readonly string[] = []) {
  const pipeline: Pipeline = { file: "/p.yaml", name: "p", log, sources: new Map(), targets: new Map(), tasks };
  const logger = new RecordingLogger();
  const choices = new TableChoice(pipeline, new Map([["shop", names(...captured)]]), logger);
  return { selection: choices.of("shop"), logger };
}

test("takes what the tasks want", () => {
  const { selection } = choice([task("one", ["public.a*"], 3)]);
  expect(selection.select(names("public.a", "public.b", "public.ab"))).toEqual(names("public.a", "public.ab"));
  expect(selection.partitions(splitTableName("public.a"))).toBe(3);
});

test("an exact name without a table stops the run, with place and suggestion", () => {
  const { selection } = choice([task("one", ["public.costumers"], 3)]);
  expect(() => selection.select(names("public.customers"))).toThrow(/did you mean `public.customers`.*p\.yaml:3/);
});

test("tables that meet at the first look stop the run", () => {
  const tasks = [task("one", ["public.a*"], 3), task("two", ["public.*b"], 5)];
  expect(() => choice(tasks).selection.select(names("public.ab"))).toThrow(/two/);
  expect(() => choice(tasks, ["public.ab"]).selection.select(names("public.ab"))).toThrow(/two/);
});

test("a table that meets another one later is left out, and said once", () => {
  const tasks = [task("one", ["public.a*"], 3), task("two", ["public.*b"], 5)];
  const { selection, logger } = choice(tasks);
  expect(selection.select(names("public.a", "public.b"))).toEqual(names("public.a", "public.b"));
  for (let look = 0; look < 3; look++) {
    expect(selection.select(names("public.a", "public.ab", "public.b"))).toEqual(names("public.a", "public.b"));
  }
  expect(logger.lines.filter(({ level }) => level === "error")).toHaveLength(1);
  const restarted = choice(tasks, ["public.a", "public.b"]).selection;
  expect(restarted.select(names("public.a", "public.ab", "public.b"))).toEqual(names("public.a", "public.b"));
});

test("a glob without a match is a warning", () => {
  const { selection, logger } = choice([task("one", ["public.a*", "sales.*"], 3)]);
  expect(selection.select(names("public.a"))).toEqual(names("public.a"));
  expect(logger.lines).toMatchObject([{ level: "warn", fields: { code: "task.table_unmatched" } }]);
});
