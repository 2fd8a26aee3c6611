import { runPython } from "./python-environment.ts";

/** One schema and what was written with it, each record with its five bytes in front. */
export interface WrittenRecords {
  readonly schema: unknown;
  readonly records: readonly Uint8Array[];
}

/** A datum as `tagged.py` and the Java reader print it. */
export type TaggedDatum = string | boolean | null | readonly TaggedDatum[] | { readonly [name: string]: TaggedDatum };

export interface DecodedRecord {
  readonly id: number;
  readonly datum: TaggedDatum;
}

/** Has fastavro decode everything, in one Python process. */
export async function decodeWithFastavro(
  batches: readonly WrittenRecords[],
): Promise<readonly (readonly DecodedRecord[])[]> {
  const input = batches.map(({ schema, records }) => ({
    schema,
    records: records.map((record) => Buffer.from(record).toString("hex")),
  }));
  return (await runPython("decode.py", input)) as readonly (readonly DecodedRecord[])[];
}
