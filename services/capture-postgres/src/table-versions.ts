import { tableId } from "@datatrace/core";
import type { Column, TableName, TableSchema } from "@datatrace/core";
import { sameNative, sameType } from "@datatrace/postgres";

/**
 * Every version of every table that this source has met, so that the same version is the same object wherever it comes
 * from: the runtime's state, the stream, a chunk or the catalog. Oldest first, as the runtime stores them.
 */
export class TableVersions {
  readonly #byTable = new Map<string, TableSchema[]>();

  /** Versions that the runtime knows are taken as they are: its objects are the ones handed out from now on. */
  adopt(known: readonly TableSchema[]): void {
    const names = new Set(known.map((schema) => tableId(schema.name)));
    for (const id of names) {
      const adopted = known.filter((schema) => tableId(schema.name) === id);
      const others = (this.#byTable.get(id) ?? []).filter((own) => !adopted.some((schema) => fits(schema, own)));
      this.#byTable.set(id, [...adopted, ...others]);
    }
  }

  newest(name: TableName): TableSchema | null {
    return this.#byTable.get(tableId(name))?.at(-1) ?? null;
  }

  /**
   * The version that has this shape. One whose columns allow more nulls fits too: what has once been nullable stays
   * so, because rows of then are still on the way. `older`: a shape that the catalog has already left behind.
   */
  intern(candidate: TableSchema, older = false): TableSchema {
    const id = tableId(candidate.name);
    const versions = this.#byTable.get(id) ?? [];
    const found = versions.findLast((version) => fits(version, candidate));
    if (found !== undefined) return found;
    this.#byTable.set(id, older ? [candidate, ...versions] : [...versions, candidate]);
    return candidate;
  }

  /** The same version with this column nullable. */
  relax(schema: TableSchema, column: number): TableSchema {
    const columns = schema.columns.map((one, index) => (index === column ? { ...one, nullable: true } : one));
    return this.intern({ ...schema, columns });
  }
}

function fits(version: TableSchema, candidate: TableSchema): boolean {
  return (
    version.columns.length === candidate.columns.length &&
    version.columns.every((column, index) => columnFits(column, candidate.columns[index])) &&
    version.key.length === candidate.key.length &&
    version.key.every((index, at) => index === candidate.key[at])
  );
}

function columnFits(version: Column, candidate: Column | undefined): boolean {
  return (
    candidate !== undefined &&
    version.name === candidate.name &&
    sameNative(version.native, candidate.native) &&
    sameType(version.type, candidate.type) &&
    (version.nullable || !candidate.nullable) &&
    (version.number === undefined || candidate.number === undefined || version.number === candidate.number)
  );
}
