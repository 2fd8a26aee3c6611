import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { PostgresSnapshot, widenTransactionId } from "./snapshot.ts";

describe("what a snapshot sees", () => {
  test("below xmin everything, from xmax on nothing, in between what was not running", () => {
    const view = PostgresSnapshot.parse("10:20:10,14,15");
    const seen = [9n, 10n, 11n, 14n, 15n, 19n, 20n, 21n].filter((id) => view.sees(id));
    expect(seen).toEqual([9n, 11n, 19n]);
    expect(PostgresSnapshot.parse("5:5:").sees(4n)).toBe(true);
  });

  test.each(["", "1:2", "1:2:a", "1:2:3,", "-1:2:", "1:2:3:4"])("%j is no snapshot", (text) => {
    expect(() => PostgresSnapshot.parse(text)).toThrow(
      expect.objectContaining({ code: "source.decode_failed" }) as Error,
    );
  });

  test("what another sees and this one does not is exactly the difference", () => {
    const snapshot = fc
      .tuple(
        fc.integer({ min: 0, max: 40 }),
        fc.integer({ min: 0, max: 20 }),
        fc.array(fc.integer({ min: 0, max: 20 })),
      )
      .map(([xmin, length, running]) => {
        const ids = running.map((offset) => BigInt(xmin + offset)).filter((id) => id < BigInt(xmin + length));
        return new PostgresSnapshot(BigInt(xmin), BigInt(xmin + length), ids);
      });
    fc.assert(
      fc.property(snapshot, snapshot, (one, other) => {
        const ids = Array.from({ length: 80 }, (_, id) => BigInt(id));
        const missing = one.missing(other).toSorted((a, b) => Number(a - b));
        expect(missing).toEqual(ids.filter((id) => other.sees(id) && !one.sees(id)));
      }),
    );
  });
});

test("32 bits of a transaction id are widened to the id nearest to a known one", () => {
  const epoch = 1n << 32n;
  fc.assert(
    fc.property(
      fc.bigInt({ min: 0n, max: 1n << 40n }),
      fc.bigInt({ min: -(1n << 31n) + 1n, max: (1n << 31n) - 1n }),
      (near, distance) => {
        const id = near + distance < 0n ? near - distance : near + distance;
        expect(widenTransactionId(Number(id % epoch), near)).toBe(id);
      },
    ),
  );
  expect(widenTransactionId(5, epoch - 5n)).toBe(epoch + 5n);
  expect(widenTransactionId(0xff_ff_ff_fb, epoch + 5n)).toBe(epoch - 5n);
});
