import { expect, test } from "vitest";
import { waitFor } from "./wait-for.ts";

test("answers the first truthy answer of the condition", async () => {
  let looks = 0;
  const answer = await waitFor(() => (++looks < 3 ? undefined : looks), { deadlineMs: 5000, what: "three looks" });
  expect(answer).toBe(3);
});

test("zero and the empty string are answers too", async () => {
  expect(await waitFor(() => 0, { deadlineMs: 1, what: "a number" })).toBe(0);
  expect(await waitFor(async () => "", { deadlineMs: 1, what: "a text" })).toBe("");
});

test("names what it waited for when the deadline passes", async () => {
  await expect(waitFor(() => false, { deadlineMs: 20, what: "rain" })).rejects.toThrow("20 ms in vain for rain");
});

test("looks once more at the deadline, however late it wakes", async () => {
  expect(await waitFor(() => true, { deadlineMs: 0, what: "nothing" })).toBe(true);
});

test("a condition that throws ends it at once", async () => {
  const broken = Promise.reject(new Error("broken"));
  await expect(waitFor(() => broken, { deadlineMs: 60_000, what: "never" })).rejects.toThrow("broken");
});

test("aborts with the signal's reason while it waits", async () => {
  const controller = new AbortController();
  const waiting = waitFor(() => false, { deadlineMs: 60_000, intervalMs: 30_000, what: "never" }, controller.signal);
  controller.abort(new Error("enough"));
  await expect(waiting).rejects.toMatchObject({ name: "AbortError", cause: { message: "enough" } });
});
