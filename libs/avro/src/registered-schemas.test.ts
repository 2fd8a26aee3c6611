import type { SchemaRegistry } from "@datatrace/core";
import { expect, test } from "vitest";
import { schemaText } from "./registered-schemas.ts";

/** A registry whose answers come when the test says so. */
function slowRegistry(): { readonly registry: SchemaRegistry; readonly answer: PromiseWithResolvers<string> } {
  const answer = Promise.withResolvers<string>();
  const registry: SchemaRegistry = {
    register: () => Promise.reject(new Error("nothing is registered here")),
    byId: async (_id, signal) => {
      signal?.addEventListener("abort", () => answer.reject(signal.reason));
      return await answer.promise;
    },
  };
  return { registry, answer };
}

test("I7: one who stops waiting for a schema does not end the wait of another", async () => {
  const { registry, answer } = slowRegistry();
  const leaving = new AbortController();
  const first = schemaText(registry, 1, leaving.signal);
  const second = schemaText(registry, 1, new AbortController().signal);
  leaving.abort(new Error("partition revoked"));
  await expect(first).rejects.toThrow("partition revoked");
  answer.resolve("the schema");
  expect(await second).toBe("the schema");
});

test("a failed look-up is not remembered", async () => {
  let calls = 0;
  const registry: SchemaRegistry = {
    register: () => Promise.reject(new Error("nothing is registered here")),
    byId: async () => {
      calls += 1;
      if (calls === 1) throw new Error("registry away");
      return "the schema";
    },
  };
  await expect(schemaText(registry, 1)).rejects.toThrow("registry away");
  expect(await schemaText(registry, 1)).toBe("the schema");
});
