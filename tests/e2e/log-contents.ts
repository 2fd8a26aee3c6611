import { expect } from "vitest";
import type { PipelineBed } from "./pipeline-bed.ts";

/** What `topics` and `tail` have to say of a pipeline with the table `items (id int, note text)`, whatever its log. */
export async function expectLogContents(bed: PipelineBed, name: string, sized: boolean): Promise<void> {
  await bed.source.query(`CREATE TABLE items (id int PRIMARY KEY, note text);
    INSERT INTO items SELECT g, 'note ' || g FROM generate_series(1, 40) g`);
  const before = bed.start("topics");
  await before.exits(0);
  expect(before.records).toEqual([]);
  // Without a delivery, so that the log keeps it all.
  await bed.start("run", "--only", "capture", "--until-caught-up").exits(0);
  await bed.source.query("UPDATE items SET note = 'changed' WHERE id = 7; DELETE FROM items WHERE id = 8");
  await bed.start("run", "--only", "capture", "--until-caught-up").exits(0);

  const topics = bed.start("topics");
  await topics.exits(0);
  expect(topics.records.map((topic) => topic["name"])).toEqual([
    `${name}.public.items`,
    `datatrace.capture.${name}.shop.position`,
    `datatrace.capture.${name}.shop.state`,
  ]);
  const [items] = topics.records;
  expect(items).toMatchObject({ event: "topic", table: "shop: public.items", cleanup: "delete", partitions: 3 });
  expect(Number(items?.["records"])).toBeGreaterThanOrEqual(43);
  expect(items?.["schemaIds"]).toHaveLength(2);
  expect(typeof items?.["sizeBytes"]).toBe(sized ? "number" : "object");

  const all = bed.startPlain(["tail", bed.file, "public.items", "--last", "1000"]);
  await all.exits(0);
  const events = all.records;
  expect(events).toHaveLength(43);
  expect(events.filter(({ op }) => op === "r")).toHaveLength(40);
  expect(events).toContainEqual(expect.objectContaining({ op: "u", key: [7], after: { id: 7, note: "changed" } }));
  expect(events).toContainEqual(expect.objectContaining({ op: "d", key: [8], after: null }));
  expect(events).toContainEqual(expect.objectContaining({ op: "tombstone", key: [8] }));

  const newest = bed.startPlain(["tail", bed.file, "public.items", "--last", "1", "--follow"]);
  await bed.source.query("UPDATE items SET note = 'followed' WHERE id = 9");
  await bed.start("run", "--only", "capture", "--until-caught-up").exits(0);
  await newest.line("records", { op: "u", topic: `${name}.public.items` });
  await expect.poll(() => newest.stdout, { timeout: 20_000 }).toMatch(/"op":"u".*"after":\{"id":9,"note":"followed"\}/);
  newest.signal("SIGTERM");
  await newest.exits(143, 10_000);

  const unknown = bed.startPlain(["tail", bed.file, "public.item"]);
  await unknown.exits(2);
  expect(unknown.stderr).toContain("did you mean `public.items`?");
}
