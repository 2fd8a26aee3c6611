import { createHash } from "node:crypto";
import { readFileSync } from "node:fs";
import { join } from "node:path";
import { avroFromTable } from "@datatrace/avro";
import { describe, expect, test } from "vitest";
import { postgresDescriptor, publishedTable, publishedTopic } from "./published-table.ts";

const schemas = avroFromTable({ topic: publishedTopic, schema: publishedTable, descriptor: postgresDescriptor });
const key: unknown = JSON.parse(schemas.key ?? "null");
const envelope: unknown = JSON.parse(schemas.value);

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
