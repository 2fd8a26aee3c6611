import { DataTraceError, invariant } from "@datatrace/core";
import type { Claim, Logger, QuarantineEntry, RereadRequest, TableChanges } from "@datatrace/core";
import { keyText } from "@datatrace/avro";
import type { ApplyQueue, ApplyWork } from "./apply-queue.ts";
import { BackOff } from "./back-off.ts";
import { ChangeBatch } from "./change-batch.ts";
import type { DeliveryTiming, ErrorStrategy } from "./delivery-options.ts";
import type { DeliveryObserver } from "./observer.ts";
import type { PartitionParkedKeys } from "./parked-keys.ts";
import type { RereadRequests } from "./reread-requests.ts";
import type { RowEvent } from "./row-event.ts";
import { DeliveryPause, TableStop, isPassing } from "./stop-reason.ts";
import type { TableDelivery } from "./table-delivery.ts";

export interface ApplierContext {
  readonly queue: ApplyQueue;
  readonly rereads: RereadRequests;
  readonly errorStrategy: ErrorStrategy;
  readonly timing: DeliveryTiming;
  readonly observer: DeliveryObserver;
  readonly logger: Logger;
  readonly signal: AbortSignal;
  /** Something transient is in the way. */
  readonly retrying: (error: DataTraceError) => void;
}

/** `stale`: the claim is lost, or the stored offset is another one. */
export type Applied = "applied" | "stale";

type Rejection = { readonly scope: "row" | "order" | "target"; readonly error: DataTraceError };

/**
 * Applies the batches of one claim, in order, and decides what becomes of a change that the target refuses. Every
 * decision is made in the transaction that moves the offset past the change.
 */
export class BatchApplier {
  readonly #claim: Claim;
  readonly #table: TableDelivery;
  readonly #parkedKeys: PartitionParkedKeys;
  readonly #context: ApplierContext;
  #stored: bigint;
  #applyingSinceTsUs: number | null = null;

  constructor(claim: Claim, table: TableDelivery, parkedKeys: PartitionParkedKeys, context: ApplierContext) {
    this.#claim = claim;
    this.#table = table;
    this.#parkedKeys = parkedKeys;
    this.#context = context;
    this.#stored = claim.next;
    this.#moveTo(claim.next);
  }

  /** The offset that the target has. */
  get stored(): bigint {
    return this.#stored;
  }

  get parkedKeys(): number {
    return this.#parkedKeys.size;
  }

  /** Commit time of the oldest change on its way to the target. */
  get applyingSinceTsUs(): number | null {
    return this.#applyingSinceTsUs;
  }

  /** Throws `TableStop`, `DeliveryPause`, or the signal's reason. Waits through everything transient. */
  async apply(batch: ChangeBatch): Promise<Applied> {
    this.#applyingSinceTsUs = batch.events[0]?.commitTsUs ?? null;
    try {
      return await this.#applyOrSplit(batch);
    } finally {
      this.#applyingSinceTsUs = null;
    }
  }

  /**
   * All at once; what the target refuses is halved, in log order, until the change to blame stands alone (I4). Changes
   * that only fail when folded together (a unique value passed on from row to row) fit on the way down.
   */
  async #applyOrSplit(batch: ChangeBatch): Promise<Applied> {
    const rejection = await this.#attemptReadable(batch);
    if (typeof rejection === "string") return rejection;
    // Only rows that were tried can be to blame.
    const tried = batch.events.length - batch.changes().parked.length;
    if (rejection.scope === "target" || tried === 0) throw this.#targetStop(rejection.error);
    const [first, ...rest] = batch.events;
    if (first !== undefined && rest.length === 0) return this.#applyAlone(batch, first, rejection);
    const half = Math.ceil(batch.events.length / 2);
    const border = batch.events[half];
    invariant(border !== undefined, "two changes have two halves");
    const earlier = this.#part(batch.events.slice(0, half), border.offset);
    const later = this.#part(batch.events.slice(half), batch.next);
    return (await this.#applyOrSplit(earlier)) === "stale" ? "stale" : this.#applyOrSplit(later);
  }

  #moveTo(next: bigint): void {
    this.#stored = next;
    this.#table.note(this.#claim.partition, { parkedKeys: this.#parkedKeys.size, next });
  }

  #part(events: readonly RowEvent[], next: bigint): ChangeBatch {
    return ChangeBatch.of(events, next, this.#claim.topic, this.#parkedKeys);
  }

  /** One change that was refused alone. Another key's change may still make room for it. */
  async #applyAlone(batch: ChangeBatch, event: RowEvent, refused: Rejection): Promise<Applied> {
    const { timing, signal, retrying } = this.#context;
    const backOff = new BackOff({ firstMs: timing.retryFirstMs, maxMs: timing.retryMaxMs });
    let rejection = refused;
    while (rejection.scope === "order" && backOff.attempts < timing.orderAttempts) {
      retrying(rejection.error);
      await backOff.wait(signal);
      const outcome = await this.#attempt(batch);
      if (typeof outcome === "string") return outcome;
      rejection = outcome;
    }
    if (rejection.scope === "target") throw this.#targetStop(rejection.error);
    return this.#decide(batch, event, rejection.error);
  }

  async #decide(batch: ChangeBatch, event: RowEvent, error: DataTraceError): Promise<Applied> {
    const { errorStrategy, observer, logger } = this.#context;
    const { topic, partition } = this.#claim;
    const place = { topic, partition, offset: event.offset.toString() };
    switch (errorStrategy) {
      case "pause":
        throw new DeliveryPause(located(error, place));
      case "skip":
        throw new TableStop(located(error, place), false);
      case "skip_row":
      case "quarantine":
    }
    const isParked = errorStrategy === "quarantine";
    if (isParked && !this.#table.mayPark()) {
      const detail = { ...place, keys: this.#parkedKeys.size, because: error.code, ...error.detail };
      throw new TableStop(new DataTraceError("sink.quarantine_full", { detail }), false);
    }
    const entry = this.#entry(event, error.code, detailText(error), isParked ? "parked" : "skipped");
    const work = this.#work(batch.next, null, [entry], []);
    const outcome = await this.#patiently(work);
    if (outcome.kind === "stale") return "stale";
    if (outcome.kind === "rejected") throw this.#targetStop(outcome.error);
    if (isParked) this.#parkedKeys.add(event.keyId);
    this.#moveTo(batch.next);
    observer.quarantined(1);
    logger.warn(isParked ? "key parked" : "row skipped", { ...place, code: error.code, ...error.detail });
    return "applied";
  }

  /** A row that cannot be read is found when its statement is made: what lies before it is still applied. */
  async #attemptReadable(batch: ChangeBatch): Promise<Applied | Rejection> {
    try {
      return await this.#attempt(batch);
    } catch (error) {
      const unreadable = error instanceof TableStop && error.error.code === "log.corrupt";
      const part = unreadable ? batch.readablePart() : null;
      if (!unreadable || part === null) throw error;
      if ((await this.#applyOrSplit(part)) === "stale") return "stale";
      throw new TableStop(error.error, false);
    }
  }

  /** Applies the batch as one piece. */
  async #attempt(batch: ChangeBatch): Promise<Applied | Rejection> {
    const { schema } = batch;
    const { collapsed, parked } = batch.changes();
    const entries = parked.map((event) => this.#entry(event, "sink.key_parked", "", "parked"));
    const changes = schema === null ? null : { target: this.#table.target, schema, ...collapsed };
    const work = this.#work(batch.next, isEmpty(changes) ? null : changes, entries, this.#answered(batch));
    const outcome = await this.#patiently(work);
    if (outcome.kind === "stale") return "stale";
    if (outcome.kind === "rejected") return outcome;
    this.#moveTo(batch.next);
    this.#report(batch, changes, entries.length, outcome.seconds);
    return "applied";
  }

  /** Prepares the target and applies, again and again while the trouble is transient (I7). */
  async #patiently(work: ApplyWork): Promise<Awaited<ReturnType<ApplyQueue["apply"]>>> {
    const { queue, timing, signal, retrying } = this.#context;
    const backOff = new BackOff({ firstMs: timing.retryFirstMs, maxMs: timing.retryMaxMs });
    for (;;) {
      try {
        if (work.changes !== null) await this.#table.prepare(work.changes.schema);
        return await queue.apply(work, signal);
      } catch (error) {
        signal.throwIfAborted();
        if (!isPassing(error)) throw error instanceof DataTraceError ? this.#targetStop(error) : error;
        retrying(error);
      }
      await backOff.wait(signal);
    }
  }

  /** Somebody may correct the target: it is looked at again. */
  #targetStop(error: DataTraceError): TableStop {
    this.#table.forgetPrepared();
    return new TableStop(error, true);
  }

  #work(
    next: bigint,
    changes: TableChanges | null,
    quarantine: readonly QuarantineEntry[],
    rereadsDone: readonly RereadRequest[],
  ): ApplyWork {
    const { topic, partition, epoch } = this.#claim;
    const rows = changes === null ? 0 : changes.deletes.length + changes.upserts.length + changes.partials.length;
    return {
      progress: { topic, partition, epoch, loaded: this.#stored, next },
      changes,
      quarantine,
      rereadsDone,
      rows: rows + quarantine.length,
    };
  }

  /** Open requests that this batch settles. */
  #answered(batch: ChangeBatch): readonly RereadRequest[] {
    const { rereads } = this.#context;
    if (!rereads.hasOpen(batch.topic)) return [];
    const done: RereadRequest[] = [];
    for (const keyId of batch.changes().settledKeys()) {
      const request = rereads.find(batch.topic, keyId);
      if (request !== null) done.push(request);
    }
    return done;
  }

  #entry(
    event: RowEvent,
    code: QuarantineEntry["code"],
    detail: string,
    state: QuarantineEntry["state"],
  ): QuarantineEntry {
    const { topic, partition } = this.#claim;
    const { offset, key, record, schema, row } = event;
    const { value, headers } = record;
    const { target } = this.#table;
    return {
      topic,
      partition,
      offset,
      target,
      key,
      keyText: keyText(schema, row),
      value,
      headers,
      code,
      detail,
      state,
    };
  }

  #report(batch: ChangeBatch, changes: TableChanges | null, parked: number, seconds: number): void {
    const { observer } = this.#context;
    const rows = batch.events.length - parked;
    this.#table.rowsApplied += BigInt(rows);
    observer.applied({
      table: this.#table.table,
      rows,
      sizeBytes: batch.sizeBytes,
      seconds,
      upserts: changes?.upserts.length ?? 0,
      deletes: changes?.deletes.length ?? 0,
      partials: changes?.partials.length ?? 0,
    });
    if (parked > 0) observer.quarantined(parked);
    const nowUs = Date.now() * 1000;
    let last: number | null = null;
    for (const { commitTsUs } of batch.events) {
      // Changes of one transaction have one commit time, and follow each other.
      if (commitTsUs !== null && commitTsUs !== last) observer.latency((nowUs - commitTsUs) / 1_000_000);
      last = commitTsUs;
    }
  }
}

function isEmpty(changes: TableChanges | null): boolean {
  return changes === null || changes.deletes.length + changes.upserts.length + changes.partials.length === 0;
}

/** The error with the place of the record in the log. */
function located(error: DataTraceError, place: Readonly<Record<string, string | number>>): DataTraceError {
  return new DataTraceError(error.code, { detail: { ...place, ...error.detail }, fix: error.fix });
}

/** SQLSTATE, constraint, column: names only, as the error has them (I8). */
function detailText({ detail }: DataTraceError): string {
  return Object.entries(detail)
    .map(([name, value]) => `${name}=${value}`)
    .join(" ");
}
