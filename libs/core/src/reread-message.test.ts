import { expect, test } from "vitest";
import { parseRereadMessageKey, rereadMessageKey } from "./reread-message.ts";

test("a re-read request survives its record key, byte for byte", () => {
  const request = { topic: "shop.public.orders", key: Uint8Array.of(0, 0, 0, 0, 7, 255, 128) };
  expect(parseRereadMessageKey(rereadMessageKey(request))).toEqual(request);
});

test("the same request has the same record key, so compaction keeps one", () => {
  const key = Uint8Array.of(1, 2, 3);
  expect(rereadMessageKey({ topic: "t", key })).toEqual(rereadMessageKey({ topic: "t", key: key.slice() }));
});

test("a record that is not a request is recognised as none", () => {
  for (const text of ["", "{}", "[1,2]", '["t"]', "\u0000"]) {
    expect(parseRereadMessageKey(new TextEncoder().encode(text))).toBeNull();
  }
  expect(parseRereadMessageKey(Uint8Array.of(0xff, 0xfe))).toBeNull();
});
