import { describe } from "vitest";
import { describeSinkApply } from "./describe-sink-apply.ts";
import { describeSinkClaims } from "./describe-sink-claims.ts";
import { describeSinkKeys } from "./describe-sink-keys.ts";
import { describeSinkPrepare } from "./describe-sink-prepare.ts";
import { describeSinkRefusals } from "./describe-sink-refusals.ts";
import type { SinkHarness } from "./sink-harness.ts";

/** What every sink that commits rows and offset in one transaction must do. No case can be switched off. */
export function describeSink(name: string, harness: SinkHarness): void {
  describe(`${name} as a sink`, () => {
    describe("claim and fence", () => {
      describeSinkClaims(harness);
    });
    describe("apply", () => {
      describeSinkApply(harness);
    });
    describe("keys and values", () => {
      describeSinkKeys(harness);
    });
    describe("refusals", () => {
      describeSinkRefusals(harness);
    });
    describe("prepare and decommission", () => {
      describeSinkPrepare(harness);
    });
  });
}
