import type { SnapshotView } from "@datatrace/core";

/**
 * Transactions that the stream has delivered and that no read of the source has yet shown as visible. PostgreSQL
 * writes a commit record, and the slot may deliver it, before other sessions can see that transaction; a chunk read in
 * between has the row of before, which must not be published after the change (I3). Stored with every position.
 */
export class UnseenTransactions {
  readonly #ids: Set<bigint>;
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

  /** Resolves when all of these have been seen by some view. Ends with the signal. */
  async seen(ids: readonly bigint[], signal: AbortSignal): Promise<void> {
    signal.throwIfAborted();
    if (!ids.some((id) => this.#ids.has(id))) return;
    const { promise, resolve, reject } = Promise.withResolvers<void>();
    const waiting = { ids, resolve };
    const abort = () => reject(signal.reason as Error);
    this.#waiting.push(waiting);
    signal.addEventListener("abort", abort, { once: true });
    try {
      await promise;
    } finally {
      signal.removeEventListener("abort", abort);
      this.#waiting = this.#waiting.filter((each) => each !== waiting);
    }
  }
}
