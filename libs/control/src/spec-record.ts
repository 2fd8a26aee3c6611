import { DataTraceError } from "@datatrace/core";
import type { StoredRecord } from "@datatrace/core";

/** `removed`: the owner decommissions it, and says so in the status. */
export type SpecState = "running" | "removed";

/** What somebody wants to run. */
export interface Spec {
  /** Of the capture or the delivery. */
  readonly id: string;
  /** Changes with every write: a status speaks of one revision. */
  readonly revision: string;
  readonly state: SpecState;
  /** JSON, a part of a pipeline file; secrets in it are sealed (I8). */
  readonly document: unknown;
}

/** Of the records. A reader refuses a higher one rather than misread it. */
const version = 1;

/** Key of a spec's record. */
export function specKey(id: string): Uint8Array {
  return new TextEncoder().encode(id);
}

/** Value of a spec's record: UTF-8 JSON. */
export function encodeSpec({ revision, state, document }: Spec): Uint8Array {
  return new TextEncoder().encode(JSON.stringify({ version, revision, state, document }));
}

/** @throws DataTraceError `control.spec_invalid`. */
export function parseSpec({ key, value }: StoredRecord): Spec {
  const id = new TextDecoder().decode(key ?? new Uint8Array());
  const refuse = (reason: string, cause?: unknown): DataTraceError =>
    new DataTraceError("control.spec_invalid", {
      detail: { spec: id, reason },
      ...(cause === undefined ? {} : { cause }),
    });
  let parsed: unknown;
  try {
    parsed = JSON.parse(new TextDecoder("utf-8", { fatal: true }).decode(value ?? new Uint8Array()));
  } catch {
    // The parser's message quotes the text.
    throw refuse("not JSON");
  }
  if (typeof parsed !== "object" || parsed === null) throw refuse("not a map");
  const { version: written, revision, state, document } = parsed as Readonly<Record<string, unknown>>;
  if (written !== version) throw refuse(`not of version ${version}`);
  if (typeof revision !== "string" || (state !== "running" && state !== "removed")) throw refuse("a field is missing");
  return { id, revision, state, document };
}
