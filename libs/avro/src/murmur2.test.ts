import { expect, test } from "vitest";
import { murmur2 } from "./murmur2.ts";
import { partitionOfKey } from "./wire-format.ts";

/** The answers of Kafka's own test of its function. */
test.each([
  ["21", -973_932_308],
  ["foobar", -790_332_482],
  ["a-little-bit-long-string", -985_981_536],
  ["a-little-bit-longer-string", -1_486_304_829],
  ["lkjh234lh9fiuh90y23oiuhsafujhadof229phr9h19h89h8", -58_897_971],
  ["abc", 479_470_107],
])("murmur2 of %s is Kafka's", (text, hash) => {
  expect(murmur2(Buffer.from(text))).toBe(hash);
});

test("I4: a new schema id does not move a key to another partition", () => {
  const body = Buffer.from("foobar");
  const versions = [1, 77].map((id) => Buffer.concat([Buffer.from([0, 0, 0, 0, id]), body]));
  for (const key of versions) expect(partitionOfKey(key, 7)).toBe((-790_332_482 & 0x7f_ff_ff_ff) % 7);
});
