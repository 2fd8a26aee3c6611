import { createHash } from "node:crypto";
import { readFileSync } from "node:fs";
import { join } from "node:path";
import { avroFromTable } from "@datatrace/avro";
import { describe, expect, test } from "vitest";
import { postgresDescriptor, publishedTable, publishedTopic } from "./published-table.ts";

const schemas = avroFromTable({ topic: publishedTopic, schema: publishedTable, descriptor: postgresDescriptor });
const key: unknown = JSON.parse(schemas.key ?? "null");
const envelope: unknown = JSON.parse(schemas.value);

interface Fixture {
  readonly key: unknown;
  readonly envelope: unknown;
}

/** Debezium's schemas for this table (types in default modes, column types propagated), written by hand. */
const debezium = JSON.parse(readFileSync(join(import.meta.dirname, "debezium-schemas.json"), "utf8")) as Fixture;

/** The schema without the parameters that only we write, and without a list of parameters that is then empty. */
function withoutOurs(json: unknown): unknown {
  if (Array.isArray(json)) return json.map(withoutOurs);
  if (typeof json !== "object" || json === null) return json;
  return Object.fromEntries(
    Object.entries(json)
      .filter(([name]) => !name.startsWith("datatrace."))
      .map(([name, value]) => [name, withoutOurs(value)] as const)
      .filter(([name, value]) => name !== "connect.parameters" || Object.keys(value as object).length > 0),
  );
}

/** Names of the fields in order, at every depth: equality of objects does not see an order of lists of another kind. */
function fieldOrder(json: unknown): readonly unknown[] {
  if (Array.isArray(json)) return json.flatMap((item) => fieldOrder(item));
  if (typeof json !== "object" || json === null) return [];
  const { name, type, fields, items } = json as Record<string, unknown>;
  return [name, ...fieldOrder(type), ...fieldOrder(fields), ...fieldOrder(items)];
}

describe("Debezium's schemas", () => {
  test("the envelope is Debezium's, field by field, beside our own parameters", () => {
    expect(withoutOurs(envelope)).toEqual(debezium.envelope);
    expect(fieldOrder(envelope)).toEqual(fieldOrder(debezium.envelope));
  });

  test("the key is Debezium's, to the letter", () => {
    expect(key).toEqual(debezium.key);
    expect(fieldOrder(key)).toEqual(fieldOrder(debezium.key));
  });
});

describe("the published contract", () => {
  /**
   * Topics are read by programs that we do not know, and by later versions of ours. When this fails, the contract has
   * changed: say in `schemas/README.md` what and why, raise the version there and here, run the test with `-u`, and
   * only then put the new hash in.
   */
  const pinned = { version: 1, sha256: "cb00aa3c2472bfd7840bc96ac16234de559dd76204a36b61546306a490ec2a9a" };

  test("is what the code generates", async () => {
    await expect(`${JSON.stringify(key, null, 2)}\n`).toMatchFileSnapshot("../../schemas/event/key.json");
    await expect(`${JSON.stringify(envelope, null, 2)}\n`).toMatchFileSnapshot("../../schemas/event/envelope.json");
  });

  test("has the hash of its version", () => {
    const hash = createHash("sha256")
      .update(`${schemas.key ?? ""}\n${schemas.value}`)
      .digest("hex");
    expect({ version: pinned.version, sha256: hash }).toEqual(pinned);
    const readme = readFileSync(join(import.meta.dirname, "..", "..", "schemas", "README.md"), "utf8");
    expect(readme).toContain(`Version ${pinned.version} `);
  });
});
