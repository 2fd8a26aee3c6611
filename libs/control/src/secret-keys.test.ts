import { randomBytes } from "node:crypto";
import { DataTraceError, Secret } from "@datatrace/core";
import { expect, test } from "vitest";
import { SecretKeys } from "./secret-keys.ts";

const newKey = (): string => randomBytes(32).toString("base64");
const place = "captures/shop.shop";
const document = { name: "shop", sources: { shop: { type: "postgres", url: new Secret("postgres://planted@h/db") } } };

function revealed(opened: unknown): string {
  return (opened as typeof document).sources.shop.url.reveal();
}

test("I8: a sealed document holds no secret, and opens to what it was", () => {
  const keys = SecretKeys.parse(newKey());
  const sealed = JSON.parse(JSON.stringify(keys.seal(document, place))) as unknown;
  expect(JSON.stringify(sealed)).not.toContain("planted");
  expect(sealed).toMatchObject({ name: "shop", sources: { shop: { type: "postgres" } } });
  const opened = keys.open(sealed, place);
  expect(revealed(opened)).toBe("postgres://planted@h/db");
  expect(JSON.stringify(opened)).toContain("[secret]");
});

test("I8: the same secret is sealed differently each time", () => {
  const keys = SecretKeys.parse(newKey());
  expect(keys.seal(document, place)).not.toEqual(keys.seal(document, place));
});

test("keys are rotated: the first seals, every one opens", () => {
  const [old, fresh] = [newKey(), newKey()];
  const sealed = SecretKeys.parse(old).seal(document, place);
  const both = SecretKeys.parse(`${fresh}, ${old}`);
  expect(revealed(both.open(sealed, place))).toBe("postgres://planted@h/db");
  expect(both.isCurrent(sealed)).toBe(false);
  expect(both.isCurrent(both.seal(document, place))).toBe(true);
  const unreadable = expect.objectContaining({ code: "control.secret_unreadable" });
  expect(() => SecretKeys.parse(fresh).open(sealed, place)).toThrow(unreadable);
});

test("I8: sealed text that was moved to another spec or another field, or changed, does not open", () => {
  const keys = SecretKeys.parse(newKey());
  const sealed = keys.seal(document, place);
  const unreadable = expect.objectContaining({ code: "control.secret_unreadable" });
  expect(() => keys.open(sealed, "captures/other.shop")).toThrow(unreadable);
  const { url } = (sealed as { sources: { shop: { url: { $sealed: { data: string } } } } }).sources.shop;
  expect(() => keys.open({ sources: { shop: { host: url } } }, place)).toThrow(unreadable);
  const bytes = Buffer.from(url.$sealed.data, "base64");
  bytes[0] = (bytes[0] ?? 0) ^ 1;
  const changed = { $sealed: { ...url.$sealed, data: bytes.toString("base64") } };
  expect(() => keys.open({ sources: { shop: { url: changed } } }, place)).toThrow(unreadable);
});

test("I8: what is no key is refused, without saying it", () => {
  for (const wrong of ["", " , ", "c2hvcnQ=", "planted", `${newKey()},${newKey().slice(4)}`]) {
    let error: unknown;
    try {
      SecretKeys.parse(wrong);
    } catch (thrown) {
      error = thrown;
    }
    expect(error).toBeInstanceOf(DataTraceError);
    expect(error).toMatchObject({ code: "config.secret_key_missing" });
    expect(String(error)).not.toContain("planted");
  }
});
