import { describe, expect, it } from "vitest";
import type { SchemaRegistry } from "@datatrace/core";
import { expectCode, unique } from "./event-log-case.ts";

/** One registry and the ways to it. */
export interface SchemaRegistryHarness extends AsyncDisposable {
  /** A client of its own, with nothing cached. */
  open(): Promise<SchemaRegistry & AsyncDisposable>;
}

/** The contract of the `SchemaRegistry` port, for every implementation. */
export function describeSchemaRegistry(name: string, create: () => Promise<SchemaRegistryHarness>): void {
  describe(`SchemaRegistry: ${name}`, { timeout: 60_000 }, () => {
    it("gives a schema one id, under every subject and for every client", async () => {
      await using harness = await create();
      await using registry = await harness.open();
      const text = schema(unique("orders").replaceAll("-", "_"));
      const id = await registry.register(unique("orders-value"), text);
      expect(Number.isSafeInteger(id) && id > 0 && id < 2 ** 31).toBe(true);
      expect(await registry.register(unique("orders-value"), text)).toBe(id);
      expect(await registry.register(unique("customers-value"), text)).toBe(id);
      await using other = await harness.open();
      expect(await other.register(unique("orders-value"), text)).toBe(id);
      expect(JSON.parse(await other.byId(id))).toEqual(JSON.parse(text));
      expect(JSON.parse(await registry.byId(id))).toEqual(JSON.parse(text));
    });

    it("finds a schema again however its JSON is spaced", async () => {
      await using harness = await create();
      await using registry = await harness.open();
      const text = schema(unique("spaced").replaceAll("-", "_"), ["a", "b"]);
      const id = await registry.register(unique("spaced-value"), text);
      await using other = await harness.open();
      expect(await other.register(unique("spaced-value"), JSON.stringify(JSON.parse(text), null, 2))).toBe(id);
    });

    it("gives another schema another id, and keeps the old one", async () => {
      await using harness = await create();
      await using registry = await harness.open();
      const subject = unique("orders-value");
      const recordName = unique("orders").replaceAll("-", "_");
      const texts = [schema(recordName), schema(recordName, ["id", "note"]), schema(recordName, ["note", "id"])];
      const ids: number[] = [];
      for (const text of texts) ids.push(await registry.register(subject, text));
      expect(new Set(ids).size).toBe(3);
      expect(await registry.register(subject, texts[0] ?? "")).toBe(ids[0]);
      await using other = await harness.open();
      for (const [index, id] of ids.entries()) {
        expect(JSON.parse(await other.byId(id))).toEqual(JSON.parse(texts[index] ?? ""));
      }
    });

    it("keeps every attribute and every character", async () => {
      await using harness = await create();
      await using registry = await harness.open();
      const text = JSON.stringify({
        type: "record",
        name: unique("exact").replaceAll("-", "_"),
        doc: 'größe 值 \u0000 "\\ 🗝',
        fields: [
          {
            name: "f",
            type: { type: "string", "connect.parameters": { "__debezium.source.column.type": "VARCHAR" } },
            default: "é",
          },
        ],
      });
      const id = await registry.register(unique("exact-value"), text);
      await using other = await harness.open();
      expect(JSON.parse(await other.byId(id))).toEqual(JSON.parse(text));
    });

    it("gives one id when clients race", async () => {
      await using harness = await create();
      await using one = await harness.open();
      await using two = await harness.open();
      for (let round = 0; round < 20; round += 1) {
        const text = schema(unique("raced").replaceAll("-", "_"));
        const subject = unique("raced-value");
        const [first, second] = await Promise.all([one.register(subject, text), two.register(subject, text)]);
        expect(first).toBe(second);
      }
    });

    it("does not know an id that it never gave", async () => {
      await using harness = await create();
      await using registry = await harness.open();
      await expectCode(registry.byId(2 ** 30), "registry.schema_unknown");
      const id = await registry.register(unique("known-value"), schema(unique("known").replaceAll("-", "_")));
      await expectCode(registry.byId(id + 1_000_000), "registry.schema_unknown");
    });

    it("stops waiting when the signal aborts", async () => {
      await using harness = await create();
      await using registry = await harness.open();
      const reason = new Error("enough");
      const text = schema(unique("aborted").replaceAll("-", "_"));
      await expect(registry.register(unique("aborted-value"), text, AbortSignal.abort(reason))).rejects.toBe(reason);
    });
  });
}

function schema(recordName: string, fields: readonly string[] = ["id"]): string {
  return JSON.stringify({
    type: "record",
    name: recordName,
    namespace: "shop.public",
    fields: fields.map((field) => ({
      name: field,
      type: ["null", { type: "long", "connect.name": "x" }],
      default: null,
    })),
    "connect.name": `shop.public.${recordName}`,
  });
}
