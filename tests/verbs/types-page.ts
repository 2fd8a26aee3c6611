import { join } from "node:path";
import { typeTable } from "@datatrace/postgres";
import type { TypeEntry } from "@datatrace/postgres";

export const typesPagePath = join(import.meta.dirname, "..", "..", "docs", "types.md");

function canonicalText({ name, canonical }: TypeEntry): string {
  const plain = canonical({ name });
  return "precision" in plain ? `${plain.kind}(0-6)` : plain.kind;
}

function row(entry: TypeEntry): string {
  return `| \`${entry.name}\` | ${canonicalText(entry)} | ${entry.note.replaceAll("|", "\\|")} |`;
}

/** The page of all types that are carried, as `docs/types.md` has to be. `npm run fix` writes it. */
export function typesPage(): string {
  return [
    "# Types",
    "",
    "Generated from `libs/postgres/src/native-type.ts` by `npm run fix`. Snapshot and stream use one decoder, and a test holds",
    "both to what the database itself prints. A target table is created with the source's exact types; an existing one may be",
    "wider, and is refused where it would round, cut or pad.",
    "",
    "## PostgreSQL",
    "",
    "| type | canonical | note |",
    "|---|---|---|",
    ...typeTable.map(row),
    "| an enum | enum | created in the target with the same labels |",
    "| an array of these | array | one dimension from 1; another shape travels as the source's text |",
    "",
    "*As the source's text*: the Avro column is null or a placeholder, the header `datatrace.text.<column>` has the text as",
    "PostgreSQL prints it, and the target reads that text or quarantines the row.",
    "",
    "Every other type is refused by `check` and by `run`, with the column's name (`source.type_unsupported`). So are key columns",
    "whose equality is coarser than that of their bytes (`source.key_unsupported`).",
    "",
  ].join("\n");
}
