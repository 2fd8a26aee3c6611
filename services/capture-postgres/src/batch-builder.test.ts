import type { SourceEvent } from "@datatrace/core";
import fc from "fast-check";
import { expect, test } from "vitest";
import { BatchBuilder } from "./batch-builder.ts";
import { parsePosition } from "./stream-position.ts";

const watermark = (id: string): SourceEvent => ({ kind: "watermark", id });

test("I3: whatever the limits and whenever it is pulled, every event comes once, in order, and each position is behind its events", () => {
  const transactions = fc.array(fc.integer({ min: 0, max: 7 }), { maxLength: 12 });
  fc.assert(
    fc.property(
      transactions,
      fc.integer({ min: 1, max: 6 }),
      fc.integer({ min: 1, max: 40 }),
      fc.array(fc.boolean(), { minLength: 120, maxLength: 120 }),
      (sizes, maxEvents, maxBytes, pulls) => {
        const builder = new BatchBuilder({ maxEvents, maxBytes }, 0n);
        const given: {
          readonly events: readonly SourceEvent[];
          readonly position: ReturnType<typeof parsePosition>;
        }[] = [];
        let step = 0;
        const pull = (): void => {
          step += 1;
          if (pulls[step % pulls.length] !== true) return;
          const batch = builder.take() ?? builder.takeIdle();
          if (batch !== null) given.push({ events: batch.events, position: parsePosition(batch.position) });
        };
        const expected: string[] = [];
        for (const [transaction, size] of sizes.entries()) {
          const commit = BigInt(transaction * 100 + 50);
          for (let index = 1; index <= size; index += 1) {
            expected.push(`${commit} ${index}`);
            builder.add(watermark(`${commit} ${index}`), 10);
            builder.mark({ commit, index });
            pull();
          }
          builder.close(BigInt(transaction * 100 + 100));
          pull();
        }
        for (let batch = builder.take(); batch !== null; batch = builder.take()) {
          given.push({ events: batch.events, position: parsePosition(batch.position) });
        }
        const ids = given.flatMap(({ events }) => events.map((event) => (event.kind === "watermark" ? event.id : "")));
        expect(ids).toEqual(expected);
        for (const { events } of given) expect(events.length).toBeLessThanOrEqual(maxEvents);
        let delivered = 0;
        for (const { events, position } of given) {
          delivered += events.length;
          const { end, open } = position;
          const behind = expected.filter((id) => {
            const [commit = "", index = ""] = id.split(" ");
            return BigInt(commit) < end || (open?.commit === BigInt(commit) && Number(index) <= open.index);
          });
          expect(behind).toEqual(expected.slice(0, delivered));
        }
      },
    ),
  );
});

test("I2: an idle position is given once, and never an older one", () => {
  const builder = new BatchBuilder({ maxEvents: 10, maxBytes: 100 }, 100n);
  expect(builder.takeIdle()).toBeNull();
  builder.close(90n);
  expect(builder.takeIdle()).toBeNull();
  builder.close(120n);
  expect(builder.takeIdle()).toMatchObject({ events: [], position: "0/78" });
  expect(builder.takeIdle()).toBeNull();
  builder.add(watermark("x"), 1);
  builder.close(130n);
  expect(builder.takeIdle()).toBeNull();
  expect(builder.take()).toMatchObject({ position: "0/82" });
});

test("it is full at twice the limits, and has room again when enough was taken", () => {
  const builder = new BatchBuilder({ maxEvents: 2, maxBytes: 1_000 }, 0n);
  for (let index = 1; index <= 4; index += 1) {
    expect(builder.isFull).toBe(false);
    builder.add(watermark("x"), 1);
    builder.mark({ commit: 1n, index });
  }
  expect(builder.isFull).toBe(true);
  builder.take();
  expect(builder.isFull).toBe(false);
  const heavy = new BatchBuilder({ maxEvents: 1_000, maxBytes: 10 }, 0n);
  heavy.add(watermark("x"), 25);
  heavy.mark({ commit: 1n, index: 1 });
  expect(heavy.isFull).toBe(true);
});
