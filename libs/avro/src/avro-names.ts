import type { Column } from "@datatrace/core";

/**
 * A column as an Avro field name, the way Debezium's `field.name.adjustment.mode=avro` does it: every illegal character
 * becomes `_`, and a leading digit gets a `_` before it.
 */
export function avroFieldName(name: string): string {
  const legal = name.replaceAll(/[^A-Za-z0-9_]/g, "_");
  return legal === "" || /^[0-9]/.test(legal) ? `_${legal}` : legal;
}

/**
 * A topic as an Avro namespace (Debezium's `schema.name.adjustment.mode=avro`, and each part between dots is made a
 * legal name, which Debezium leaves out and Avro parsers ask for).
 */
export function avroNamespace(topic: string): string {
  return topic.split(".").map(avroFieldName).join(".");
}

/**
 * Field names of columns, in their order. A column whose name is legal keeps it; of the others the first gets the
 * adjusted name, and one that would collide gets `_2`, `_3`, … after it.
 */
export function avroFieldNames(columns: readonly Column[]): readonly string[] {
  const taken = new Set<string>();
  for (const column of columns) if (avroFieldName(column.name) === column.name) taken.add(column.name);
  return columns.map((column) => {
    const adjusted = avroFieldName(column.name);
    if (adjusted === column.name) return adjusted;
    let name = adjusted;
    for (let n = 2; taken.has(name); n += 1) name = `${adjusted}_${n}`;
    taken.add(name);
    return name;
  });
}
