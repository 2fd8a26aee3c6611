import type { BeginMessage, Lsn } from "@datatrace/postgres";
import type { ChangeTransaction } from "./row-event.ts";
import type { OpenTransaction } from "./stream-position.ts";

/** The transaction that the stream is in the middle of. */
export class StreamTransaction implements OpenTransaction, ChangeTransaction {
  readonly commit: Lsn;
  readonly txId: bigint;
  readonly commitTsUs: number;
  readonly sequence: string;
  /** Its `begin` has been given out. */
  begun = false;
  #index = 0;
  readonly #skip: number;

  /** `skip`: raw changes that were delivered before this stream began. */
  constructor({ commitLsn, commitTsUs }: BeginMessage, txId: bigint, skip: number) {
    this.commit = commitLsn;
    this.txId = txId;
    this.commitTsUs = commitTsUs;
    this.sequence = `["${commitLsn}","`;
    this.#skip = skip;
  }

  /** Raw changes so far. */
  get index(): number {
    return this.#index;
  }

  /** A part of it was delivered before. */
  get isContinued(): boolean {
    return this.#skip > 0;
  }

  /** Raw changes that were delivered before have yet to come. */
  get isBehind(): boolean {
    return this.#index < this.#skip;
  }

  /** Counts a raw change. True when it has been delivered before. */
  count(): boolean {
    this.#index += 1;
    return this.#index <= this.#skip; // I3
  }

  /** The last one comes again. */
  uncount(): void {
    this.#index -= 1;
  }
}
