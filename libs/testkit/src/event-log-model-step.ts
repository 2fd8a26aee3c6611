/** One step of a random run. Numbers are taken modulo what there is. */
export type ModelStep =
  | { readonly kind: "append"; readonly records: readonly ModelRecord[] }
  | { readonly kind: "read" }
  | { readonly kind: "read_some"; readonly polls: number }
  | { readonly kind: "seek"; readonly place: number; readonly to: number }
  | { readonly kind: "pause"; readonly place: number }
  | { readonly kind: "resume"; readonly place: number }
  | { readonly kind: "commit"; readonly place: number }
  | { readonly kind: "reclaim" }
  | { readonly kind: "latest" }
  | { readonly kind: "fence" }
  | { readonly kind: "reopen_reader" }
  | { readonly kind: "restart" };

export interface ModelRecord {
  readonly place: number;
  readonly key: number;
  readonly tombstone: boolean;
  readonly sizeBytes: number;
}
