import { execFileSync } from "node:child_process";
import { join } from "node:path";
import { expect, test } from "vitest";
import { workspaces } from "./source-tree.ts";

const switches = [["datatrace", "failpoints"].join("."), ["DATATRACE", "FAILPOINT"].join("_")];

test("nothing but testkit can turn failpoints on", () => {
  const wrong = workspaces()
    .filter(({ folder }) => folder !== "libs/testkit")
    .flatMap(({ production }) => production)
    .filter(({ path }) => path !== "libs/core/src/failpoint.ts")
    .filter(({ text }) => switches.some((name) => text.includes(name)));
  expect(wrong.map(({ path }) => path)).toEqual([]);
});

test("a failpoint's environment does nothing to a process that has not loaded testkit", () => {
  const core = join(import.meta.dirname, "..", "..", "libs", "core", "src", "index.ts");
  const program = `import { failpoint } from ${JSON.stringify(core)}; failpoint("a.b"); process.stdout.write("lived");`;
  const run = (...flags: string[]): string =>
    execFileSync(process.execPath, [...flags, "--input-type=module", "--eval", program], {
      encoding: "utf8",
      env: { ...process.env, DATATRACE_FAILPOINTS: "a.b=kill@1" },
      stdio: ["ignore", "pipe", "ignore"],
    });
  expect(run()).toBe("lived");
  expect(() => run("--import", "@datatrace/testkit/failpoints")).toThrow("Command failed");
});
