import { untilAborted } from "@datatrace/core";
import type { SnapshotView } from "@datatrace/core";

/**
 * Transactions that the stream has delivered and that no read of the source has yet shown as visible. PostgreSQL
 * writes a commit record, and the slot may deliver it, before other sessions can see that transaction; a chunk read in
 * between has the row of before, which must not be published after the change (I3). Stored with every position.
 */
export class UnseenTransactions {
  readonly #ids: Set<bigint>;
  readonly #followers = new Set<DeliveredTransactions>();
  #view: SnapshotView | null = null;
  #waiting: { readonly ids: readonly bigint[]; readonly resolve: () => void }[] = [];

  constructor(ids: Iterable<bigint> = []) {
    this.#ids = new Set(ids);
  }

  get size(): number {
    return this.#ids.size;
  }

  /** Somebody waits for a transaction to become visible. */
  get awaited(): boolean {
    return this.#waiting.length > 0;
  }

  current(): readonly bigint[] {
    return [...this.#ids];
  }

  /** The stream has delivered the commit of this transaction. What the last view has seen stays visible. */
  deliver(txId: bigint): void {
    if (this.#view?.sees(txId) !== true) this.#ids.add(txId);
    for (const follower of this.#followers) follower.add(txId);
  }

  /** Forgets what this view sees: on a primary, visibility never goes back. */
  prune(view: SnapshotView): void {
    this.#view = view;
    for (const id of this.#ids) if (view.sees(id)) this.#ids.delete(id);
    if (this.#waiting.length === 0) return;
    this.#waiting = this.#waiting.filter(({ ids, resolve }) => {
      if (ids.some((id) => this.#ids.has(id))) return true;
      resolve();
      return false;
    });
  }

  /**
   * What a read that begins now must be able to see: call it before the read, `unfollow` when its low watermark is back.
   * What was seen before this call is visible to every later read; what is seen after it need not be visible to this one.
   */
  follow(): DeliveredTransactions {
    const follower = new DeliveredTransactions(this.#ids);
    this.#followers.add(follower);
    return follower;
  }

  unfollow(follower: DeliveredTransactions): void {
    this.#followers.delete(follower);
  }

  /** Resolves when all of these have been seen by some view. Ends with the signal. */
  async seen(ids: readonly bigint[], signal: AbortSignal): Promise<void> {
    signal.throwIfAborted();
    if (!ids.some((id) => this.#ids.has(id))) return;
    const { promise, resolve } = Promise.withResolvers<void>();
    const waiting = { ids, resolve };
    this.#waiting.push(waiting);
    try {
      await untilAborted(promise, signal);
    } finally {
      this.#waiting = this.#waiting.filter((each) => each !== waiting);
    }
  }
}

/** Transactions delivered before a chunk's low watermark that the chunk's view has not been found to see. */
export class DeliveredTransactions {
  readonly #ids: Set<bigint>;
  #view: SnapshotView | null = null;

  constructor(ids: Iterable<bigint>) {
    this.#ids = new Set(ids);
  }

  add(txId: bigint): void {
    if (this.#view?.sees(txId) !== true) this.#ids.add(txId);
  }

  /** The chunk was read with this view. One that was read again sees all that the earlier one saw. */
  readWith(view: SnapshotView): void {
    this.#view = view;
    for (const id of this.#ids) if (view.sees(id)) this.#ids.delete(id);
  }

  /** Empty: every change that the stream delivered before the window is in the chunk's rows. */
  unseen(): readonly bigint[] {
    return [...this.#ids];
  }
}
