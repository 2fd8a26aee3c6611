import { describe } from "vitest";
import type { CaptureHarness } from "./capture-harness.ts";
import { describeCaptureSourceAcknowledge } from "./describe-capture-source-acknowledge.ts";
import { describeCaptureSourceChunks } from "./describe-capture-source-chunks.ts";
import { describeCaptureSourceOrder } from "./describe-capture-source-order.ts";
import { describeCaptureSourcePosition } from "./describe-capture-source-position.ts";
import { describeCaptureSourceShapes } from "./describe-capture-source-shapes.ts";
import { describeCaptureSourceTables } from "./describe-capture-source-tables.ts";

/** What every source with a log of its own must do. No case can be switched off. */
export function describeCaptureSource(name: string, harness: CaptureHarness): void {
  describe(`${name} as a source`, () => {
    describe("order and completeness", () => {
      describeCaptureSourceOrder(harness);
    });
    describe("position", () => {
      describeCaptureSourcePosition(harness);
    });
    describe("acknowledgement", () => {
      describeCaptureSourceAcknowledge(harness);
    });
    describe("chunks and watermarks", () => {
      describeCaptureSourceChunks(harness);
    });
    describe("tables", () => {
      describeCaptureSourceTables(harness);
    });
    describe("tables that change", () => {
      describeCaptureSourceShapes(harness);
    });
  });
}
