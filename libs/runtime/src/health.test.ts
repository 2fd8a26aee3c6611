import { expect, test } from "vitest";
import { Health } from "./health.ts";

const error = { code: "sink.connection_lost", message: "The target cannot be reached.", fix: "Start it." } as const;

test("ready when every part runs, or has not been retrying for longer than the grace", () => {
  let now = 0;
  const health = new Health(30_000, () => now);
  expect(health.readiness().ready).toBe(false);
  health.set("capture shop", "starting");
  health.set("delivery shop", "running");
  expect(health.readiness().ready).toBe(false);
  health.set("capture shop", "running");
  expect(health.readiness()).toMatchObject({ ready: true, parts: [{ error: null }, { error: null }] });

  health.set("delivery shop", "retrying", error);
  now = 20_000;
  health.set("delivery shop", "retrying", error);
  now = 30_000;
  expect(health.readiness().ready).toBe(true);
  now = 30_001;
  expect(health.readiness()).toMatchObject({ ready: false, parts: [{}, { state: "retrying", error }] });
  health.set("delivery shop", "running");
  expect(health.readiness().ready).toBe(true);
  health.set("capture shop", "failed", error);
  expect(health.readiness().ready).toBe(false);
});
