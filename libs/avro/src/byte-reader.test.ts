import { expect, test } from "vitest";
import { ByteReader, CorruptBytes } from "./byte-reader.ts";

function reading<T>(hex: string, read: (reader: ByteReader) => T): () => T {
  return () => {
    const reader = new ByteReader();
    reader.begin(Buffer.from(hex, "hex"), 0);
    const value = read(reader);
    reader.finish();
    return value;
  };
}

test.each([
  ["00", 0],
  ["01", -1],
  ["feffffff0f", 2_147_483_647],
  ["ffffffff0f", -2_147_483_648],
  // The same number in more bytes than it needs: no writer does it, and it is not wrong.
  ["8000", 0],
])("int %s is %i", (hex, value) => {
  expect(reading(hex, (reader) => reader.int())()).toBe(value);
});

test.each([
  ["feffffffffffff1f", Number.MAX_SAFE_INTEGER],
  ["fdffffffffffff1f", Number.MIN_SAFE_INTEGER],
  ["ffffffffffffff1f", -9_007_199_254_740_992n],
  ["8080808080808020", 9_007_199_254_740_992n],
  ["feffffffffffffffff01", 9_223_372_036_854_775_807n],
  ["ffffffffffffffffff01", -9_223_372_036_854_775_808n],
])("long %s is %s", (hex, value) => {
  expect(reading(hex, (reader) => reader.long())()).toBe(value);
  expect(reading(hex, (reader) => reader.skipVarint())()).toBeUndefined();
});

test.each([
  ["a boolean of 2", "02", (reader: ByteReader) => reader.boolean()],
  ["an int of 33 bits", "ffffffff1f", (reader: ByteReader) => reader.int()],
  ["an int of six bytes", "ffffffffff01", (reader: ByteReader) => reader.int()],
  ["a long of 65 bits", "ffffffffffffffffff03", (reader: ByteReader) => reader.long()],
  ["a long of eleven bytes", "ffffffffffffffffffff01", (reader: ByteReader) => reader.skipVarint()],
  ["a text longer than what is left", "0461", (reader: ByteReader) => reader.string()],
  ["a text of negative length", "0161", (reader: ByteReader) => reader.string()],
  ["bytes of an enormous length", "feffffffffffffffff0161", (reader: ByteReader) => reader.bytes()],
  ["a number cut short", "00000000", (reader: ByteReader) => reader.double()],
  ["a varint cut short", "80", (reader: ByteReader) => reader.int()],
  ["a list longer than what is left", "feffffff0f", (reader: ByteReader) => reader.blockCount()],
  ["a list of enormous length", "feffffffffffffffff01", (reader: ByteReader) => reader.blockCount()],
  ["a list whose size in bytes is not there", "0106", (reader: ByteReader) => reader.blockCount()],
  ["something after the end", "0000", (reader: ByteReader) => reader.int()],
])("I6: %s is damage", (_name, hex, read) => {
  expect(reading<unknown>(hex, read)).toThrow(CorruptBytes);
});
