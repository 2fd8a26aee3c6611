import fc from "fast-check";
import { expect, test } from "vitest";
import { formatLsn, parseLsn } from "./lsn.ts";

test("a WAL position is written as PostgreSQL writes it, and read again", () => {
  expect(formatLsn(0x16_b3_74_d8_48n)).toBe("16/B374D848");
  expect(parseLsn("16/B374D848")).toBe(0x16_b3_74_d8_48n);
  expect(parseLsn("ffffffff/ffffffff")).toBe(2n ** 64n - 1n);
  fc.assert(fc.property(fc.bigInt({ min: 0n, max: 2n ** 64n - 1n }), (lsn) => parseLsn(formatLsn(lsn)) === lsn));
});

test.each(["", "0", "0/", "/0", "0/0/0", "g/0", "0/123456789", " 0/0"])("%j is no WAL position", (text) => {
  expect(() => parseLsn(text)).toThrow(expect.objectContaining({ code: "source.decode_failed" }) as Error);
});
