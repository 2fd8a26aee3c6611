import { expect, test } from "vitest";
import { arrayLiteral } from "./array-literal.ts";

test("every element stands for itself", () => {
  expect(arrayLiteral([])).toBe("{}");
  expect(arrayLiteral([null, "", "NULL", "a,b", "{}", " "])).toBe('{NULL,"","NULL","a,b","{}"," "}');
  expect(arrayLiteral(['quo"te', "back\\slash", '"\\"'])).toBe('{"quo\\"te","back\\\\slash","\\"\\\\\\""}');
});
