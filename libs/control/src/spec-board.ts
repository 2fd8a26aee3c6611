import { randomUUID } from "node:crypto";
import { isDeepStrictEqual } from "node:util";
import { setTimeout as delay } from "node:timers/promises";
import { DataTraceError, failpoint, Secret } from "@datatrace/core";
import type { EventLog, Logger, LogRecord } from "@datatrace/core";
import { specPartition, specTopic, statusTopic } from "./control-topics.ts";
import type { SpecKind } from "./control-topics.ts";
import type { SecretKeys } from "./secret-keys.ts";
import { encodeSpec, parseSpec, specKey } from "./spec-record.ts";
import type { Spec } from "./spec-record.ts";
import { encodeStatus, parseStatus, statusKey } from "./status-record.ts";
import type { SpecStatus } from "./status-record.ts";

/** What shall run: secrets in the document are `Secret`s. */
export interface SpecWish {
  readonly id: string;
  readonly document: unknown;
}

/** Whoever writes here takes the writer for a moment; another who does the same at that moment tries again. */
const writerId = "datatrace.control";
const mostAttempts = 50;
const retryMs = 50;

/** The specs of one kind and their statuses, as the log has them. */
export class SpecBoard {
  readonly kind: SpecKind;
  readonly #log: EventLog;
  readonly #logger: Logger;
  /** Ends of the partitions at the last look. */
  #seen: string | null = null;

  private constructor(log: EventLog, kind: SpecKind, logger: Logger) {
    this.#log = log;
    this.kind = kind;
    this.#logger = logger;
  }

  /** Makes the topics when they are not there. @throws DataTraceError as `ensureTopic`. */
  static async open(log: EventLog, kind: SpecKind, logger: Logger, signal: AbortSignal): Promise<SpecBoard> {
    await log.ensureTopic(specTopic(kind), signal);
    await log.ensureTopic(statusTopic, signal);
    return new SpecBoard(log, kind, logger);
  }

  /** The same, null when nobody has ever written a spec of this kind: nothing is made. */
  static async find(log: EventLog, kind: SpecKind, logger: Logger, signal: AbortSignal): Promise<SpecBoard | null> {
    return (await log.topic(specTopic(kind).name, signal)) === null
      ? null
      : await SpecBoard.open(log, kind, logger, signal);
  }

  /** All specs, when something was written since the last call; else null. One that cannot be read is left out. */
  async look(signal: AbortSignal): Promise<readonly Spec[] | null> {
    const { name, partitions } = specTopic(this.kind);
    const bounds = await Promise.all(
      Array.from({ length: partitions }, (_, partition) => this.#log.bounds({ topic: name, partition }, signal)),
    );
    // Bounds first: what comes in between is seen now, and again next time, which does no harm.
    const seen = bounds.map(({ end }) => end).join(" ");
    if (seen === this.#seen) return null;
    const specs = await this.specs(signal);
    this.#seen = seen;
    return specs;
  }

  /** All specs as they are now. */
  async specs(signal: AbortSignal): Promise<readonly Spec[]> {
    const records = await this.#log.latestByKey(specTopic(this.kind).name, signal);
    return records.flatMap((record): readonly Spec[] => {
      try {
        return [parseSpec(record)];
      } catch (error) {
        if (!(error instanceof DataTraceError)) throw error;
        this.#logger.error("spec cannot be read", { code: error.code, error: error.message, fix: error.fix });
        return [];
      }
    });
  }

  /**
   * Writes what is not there as it is wished, and answers their ids. The same wish again writes nothing; one that is
   * sealed with an older key is sealed anew.
   */
  async wish(wishes: readonly SpecWish[], keys: SecretKeys, signal: AbortSignal): Promise<readonly string[]> {
    const stored = new Map((await this.specs(signal)).map((spec) => [spec.id, spec]));
    const changed = wishes.filter((wish) => !this.#isThere(wish, stored.get(wish.id), keys));
    await this.#write(
      changed.map(({ id, document }) => ({
        id,
        revision: randomUUID(),
        state: "running",
        document: keys.seal(document, this.#place(id)),
      })),
      signal,
    );
    return changed.map(({ id }) => id);
  }

  /** Whether the log has it like this already. */
  #isThere({ document }: SpecWish, spec: Spec | undefined, keys: SecretKeys): boolean {
    if (spec?.state !== "running" || !keys.isCurrent(spec.document)) return false;
    try {
      return isDeepStrictEqual(plain(this.document(spec, keys)), plain(document));
    } catch (error) {
      // It cannot be opened, whatever it says: what is wished replaces it.
      if (error instanceof DataTraceError && error.code === "control.secret_unreadable") return false;
      throw error;
    }
  }

  /** A spec's document with its secrets. @throws DataTraceError `control.secret_unreadable`. */
  document({ id, document }: Spec, keys: SecretKeys): unknown {
    return keys.open(document, this.#place(id));
  }

  /** Gives specs other documents, in which the secrets are sealed as they were. Needs no key. */
  async replace(specs: readonly Spec[], signal: AbortSignal): Promise<void> {
    await this.#write(
      specs.map((spec) => ({ ...spec, revision: randomUUID() })),
      signal,
    );
  }

  /** Asks for these specs to be decommissioned. Needs no key. */
  async remove(specs: readonly Spec[], signal: AbortSignal): Promise<void> {
    await this.replace(
      specs.map((spec) => ({ ...spec, state: "removed" })),
      signal,
    );
  }

  /** The owner says that nothing of this revision is left. */
  async decommissioned({ id, revision }: Spec, signal: AbortSignal): Promise<void> {
    const status: SpecStatus = { kind: this.kind, id, revision, state: "decommissioned", at: new Date().toISOString() };
    const place = { topic: statusTopic.name, partition: 0 };
    failpoint("control.before_status");
    await this.#append([{ ...place, key: statusKey(this.kind, id), value: encodeStatus(status) }], signal);
  }

  /** Ids of the specs whose present revision is decommissioned. */
  async gone(specs: readonly Spec[], signal: AbortSignal): Promise<ReadonlySet<string>> {
    const records = await this.#log.latestByKey(statusTopic.name, signal);
    const statuses = records.flatMap((record) => parseStatus(record) ?? []);
    const revisions = new Map(statuses.filter(({ kind }) => kind === this.kind).map((one) => [one.id, one.revision]));
    return new Set(specs.filter(({ id, revision }) => revisions.get(id) === revision).map(({ id }) => id));
  }

  /** Forgets specs. Only when they are decommissioned, by their owner or by the caller: else something is leaked. */
  async forget(ids: readonly string[], signal: AbortSignal): Promise<void> {
    await this.#append(
      ids.flatMap((id) => [
        { topic: specTopic(this.kind).name, partition: specPartition(id), key: specKey(id), value: null },
        { topic: statusTopic.name, partition: 0, key: statusKey(this.kind, id), value: null },
      ]),
      signal,
    );
  }

  /** To which the secrets of a spec are bound: not its revision, so that it can be removed without a key. */
  #place(id: string): string {
    return `${this.kind}/${id}`;
  }

  async #write(specs: readonly Spec[], signal: AbortSignal): Promise<void> {
    const { name } = specTopic(this.kind);
    await this.#append(
      specs.map((spec) => ({
        topic: name,
        partition: specPartition(spec.id),
        key: specKey(spec.id),
        value: encodeSpec(spec),
      })),
      signal,
    );
  }

  /** The records say all, so the same once more does no harm: after an answer that was lost they are written again. */
  async #append(records: readonly LogRecord[], signal: AbortSignal): Promise<void> {
    if (records.length === 0) return;
    for (let attempt = 1; ; attempt += 1) {
      try {
        await using writer = await this.#log.openWriter(writerId, signal);
        failpoint("control.before_append");
        await writer.append(records, signal);
        return;
      } catch (error) {
        signal.throwIfAborted();
        const again = error instanceof DataTraceError && error.retry === "timed" && error.code !== "log.closed";
        if (!again || attempt === mostAttempts) throw error;
        await delay(retryMs * (0.5 + Math.random()), undefined, { signal });
      }
    }
  }
}

/** For comparison only: secrets as what they are, and no difference between a field that is undefined and none. */
function plain(document: unknown): unknown {
  if (document instanceof Secret) return { secret: document.reveal() };
  if (Array.isArray(document)) return document.map((one: unknown) => plain(one));
  if (typeof document !== "object" || document === null) return document;
  const entries: readonly (readonly [string, unknown])[] = Object.entries(document);
  return Object.fromEntries(
    entries.filter(([, value]) => value !== undefined).map(([name, value]) => [name, plain(value)]),
  );
}
