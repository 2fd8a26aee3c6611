import type { Position } from "@datatrace/core";
import fc from "fast-check";
import { expect, test } from "vitest";
import { formatPosition, parsePosition } from "./stream-position.ts";

test("a position is read as it was written", () => {
  const lsn = fc.bigInt({ min: 0n, max: 2n ** 64n - 1n });
  const open = fc.option(fc.record({ commit: lsn, index: fc.nat() }));
  fc.assert(
    fc.property(fc.record({ end: lsn, open }), (position) => {
      expect(parsePosition(formatPosition(position))).toEqual(position);
    }),
  );
  expect(formatPosition({ end: 1n, open: { commit: 2n ** 32n, index: 17 } })).toBe("0/1 1/0 17");
});

test.each(["", "0/1 0/2", "0/1 0/2 x", "0/1 0/2 1 2", "nonsense"])("%j is not one of ours", (text) => {
  expect(() => parsePosition(text as Position)).toThrow(
    expect.objectContaining({ code: "source.decode_failed" }) as Error,
  );
});
