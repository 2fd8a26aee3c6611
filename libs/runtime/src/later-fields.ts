import type { FilePath } from "./yaml-source.ts";

/** Fields that the format has, and that this version does not carry yet. `*` is any name. */
const fields = new Set([
  "tasks.*.objects.*.columns",
  "tasks.*.objects.*.where",
  "tasks.*.objects.*.key",
  "tasks.*.sync.db_name_transform",
]);

/** Values likewise, by field. */
const values: Readonly<Record<string, readonly string[]>> = {
  "tasks.*.sync.table_exists_strategy": ["truncate", "drop", "backup"],
  "sources.*.type": ["mysql", "sqlite", "elasticsearch"],
  "targets.*.type": ["mysql", "oracle", "elasticsearch"],
};

export function isLaterField(path: FilePath): boolean {
  return fields.has(general(path));
}

export function isLaterValue(path: FilePath, value: string): boolean {
  return values[general(path)]?.includes(value) ?? false;
}

/** The path with the names that the user chooses, and list indexes, as `*`. */
function general(path: FilePath): string {
  return path
    .map((part, index) => (index === 1 && path[0] !== "log" ? "*" : typeof part === "number" ? "*" : part))
    .join(".");
}
