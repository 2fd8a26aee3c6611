import type { ParkedKeys } from "./change-batch.ts";

/** The parked keys of one partition: loaded at the claim, grown by the quarantine. */
export class PartitionParkedKeys implements ParkedKeys {
  readonly #keyIds: Set<string>;
  #version = 0;

  constructor(keyIds: Iterable<string>) {
    this.#keyIds = new Set(keyIds);
  }

  get version(): number {
    return this.#version;
  }

  get size(): number {
    return this.#keyIds.size;
  }

  has(keyId: string): boolean {
    return this.#keyIds.size > 0 && this.#keyIds.has(keyId);
  }

  add(keyId: string): void {
    this.#keyIds.add(keyId);
    this.#version += 1;
  }
}
