import { expect, test } from "vitest";
import { untilAborted } from "./until-aborted.ts";

test("gives what the promise gives, or its error", async () => {
  const { signal } = new AbortController();
  expect(await untilAborted(Promise.resolve(1), signal)).toBe(1);
  const error = new Error("failed");
  await expect(untilAborted(Promise.reject(error), signal)).rejects.toBe(error);
});

test.for([{ when: "before" }, { when: "while it waits" }])(
  "an abort $when ends it with its reason, and a promise that fails later ends no process",
  async ({ when }) => {
    const unhandled: unknown[] = [];
    const note = (error: unknown): number => unhandled.push(error);
    process.on("unhandledRejection", note);
    try {
      const reason = new Error("enough");
      const abort = new AbortController();
      const { promise, reject } = Promise.withResolvers<never>();
      if (when === "before") abort.abort(reason);
      const waiting = untilAborted(promise, abort.signal);
      abort.abort(reason);
      await expect(waiting).rejects.toBe(reason);
      reject(new Error("late"));
      // Rejections that nobody handles are told after the microtasks of a turn.
      await new Promise((resolve) => setImmediate(resolve));
      expect(unhandled).toEqual([]);
    } finally {
      process.off("unhandledRejection", note);
    }
  },
);
