import type { StoredRecord } from "@datatrace/core";
import type { SpecKind } from "./control-topics.ts";

/** What has become of one revision of a spec. */
export interface SpecStatus {
  readonly kind: SpecKind;
  readonly id: string;
  /** Of the spec that it speaks of. */
  readonly revision: string;
  /** Nothing of it is left: slot, publication, topics, groups and helper rows are gone. */
  readonly state: "decommissioned";
  /** ISO 8601. */
  readonly at: string;
}

/** Key of a status record: UTF-8 JSON. */
export function statusKey(kind: SpecKind, id: string): Uint8Array {
  return new TextEncoder().encode(JSON.stringify([kind, id]));
}

export function encodeStatus({ revision, state, at }: SpecStatus): Uint8Array {
  return new TextEncoder().encode(JSON.stringify({ version: 1, revision, state, at }));
}

/** Null when the record is not one that this version knows: a status of a later one says nothing to it. */
export function parseStatus({ key, value }: StoredRecord): SpecStatus | null {
  const text = new TextDecoder();
  try {
    const [kind, id] = JSON.parse(text.decode(key ?? new Uint8Array())) as readonly unknown[];
    const { version, revision, state, at } = JSON.parse(text.decode(value ?? new Uint8Array())) as SpecStatus & {
      version: number;
    };
    const known = version === 1 && state === "decommissioned" && (kind === "captures" || kind === "deliveries");
    return known && typeof id === "string" ? { kind, id, revision, state, at } : null;
  } catch {
    return null;
  }
}
