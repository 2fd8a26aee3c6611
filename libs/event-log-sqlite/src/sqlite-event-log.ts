import { randomUUID } from "node:crypto";
import { resolve } from "node:path";

import { invariant } from "@datatrace/core";
import type {
  EventLog,
  GroupProgress,
  LogBounds,
  Logger,
  LogReader,
  LogWriter,
  RecordsRead,
  SchemaRegistry,
  StoredRecord,
  TopicIdentity,
  TopicPartition,
  TopicSpec,
} from "@datatrace/core";

import { LogThread } from "./log-thread.ts";
import { recordsOf } from "./record-frame.ts";
import { SqliteReader } from "./sqlite-reader.ts";
import { SqliteSchemaRegistry } from "./sqlite-schema-registry.ts";
import { SqliteWriter } from "./sqlite-writer.ts";
import type { LogStatistics } from "./statistics.ts";

export interface SqliteEventLogOptions {
  /** Made with mode 0700 if it is not there. On a local file system; several processes may share it. */
  readonly directory: string;
  /** Appends to data topics stop with `log.full` when the log holds this much. Default 10 GiB. */
  readonly maxSizeBytes?: number;
  /** How long a member that gives no sign of life keeps its partitions. Default 5000. */
  readonly leaseMs?: number;
  /** How long to wait for a write of another process before `log.locked`. Default 5000. */
  readonly lockedAfterMs?: number;
  readonly logger?: Logger;
}

/**
 * Opens the event log in a directory, and makes it when it is not there.
 * @throws DataTraceError `log.unsupported_filesystem`, `log.format_unsupported`, `log.corrupt`, `log.io_failed`,
 * `log.locked`.
 */
export async function openSqliteEventLog(options: SqliteEventLogOptions): Promise<SqliteEventLog> {
  const maxSizeBytes = options.maxSizeBytes ?? 10 * 1024 ** 3;
  const leaseMs = options.leaseMs ?? 5000;
  const lockedAfterMs = options.lockedAfterMs ?? 5000;
  invariant(maxSizeBytes > 0 && leaseMs > 0 && lockedAfterMs > 0, "the log's settings are positive");
  const thread = new LogThread(options.logger ?? null);
  try {
    await thread.request("open", { directory: resolve(options.directory), maxSizeBytes, leaseMs, lockedAfterMs });
  } catch (error) {
    await thread.close();
    throw error;
  }
  return new SqliteEventLog(thread);
}

/** Topics, groups and schemas in one directory: no server, the same guarantees as the distributed log. */
export class SqliteEventLog implements EventLog {
  /** Schemas live in the log's own file, under the same durability as the events that need them. */
  readonly registry: SchemaRegistry;
  readonly #thread: LogThread;

  /** Use `openSqliteEventLog`. */
  constructor(thread: LogThread) {
    this.#thread = thread;
    this.registry = new SqliteSchemaRegistry(thread);
  }

  ensureTopic(spec: TopicSpec, signal?: AbortSignal): Promise<TopicIdentity> {
    return this.#thread.request("ensureTopic", spec, signal);
  }

  topic(name: string, signal?: AbortSignal): Promise<TopicIdentity | null> {
    return this.#thread.request("topic", { name }, signal);
  }

  topics(prefix: string, signal?: AbortSignal): Promise<readonly string[]> {
    return this.#thread.request("topics", { prefix }, signal);
  }

  async openWriter(id: string, signal?: AbortSignal): Promise<LogWriter> {
    const { epoch } = await this.#thread.request("openWriter", { id }, signal);
    return new SqliteWriter(this.#thread, id, epoch);
  }

  async registerGroup(group: string, topics: readonly string[], signal?: AbortSignal): Promise<void> {
    await this.#thread.request("registerGroup", { group, topics }, signal);
  }

  async removeGroup(group: string, signal?: AbortSignal): Promise<void> {
    await this.#thread.request("removeGroup", { group }, signal);
  }

  groupProgress(group: string, signal?: AbortSignal): Promise<readonly GroupProgress[]> {
    return this.#thread.request("groupProgress", { group }, signal);
  }

  async openReader(group: string, topics: readonly string[], signal?: AbortSignal): Promise<LogReader> {
    const id = randomUUID();
    const reader = new SqliteReader(this.#thread, id, group);
    try {
      await this.#thread.request("openReader", { reader: id, group, topics }, signal);
    } catch (error) {
      this.#thread.unlisten(id);
      throw error;
    }
    return reader;
  }

  async latestByKey(topic: string, signal?: AbortSignal): Promise<readonly StoredRecord[]> {
    return recordsOf(await this.#thread.request("latestByKey", { topic }, signal), 0n);
  }

  /** What is at an offset now, for tools: it joins no group. @throws DataTraceError `log.topic_unknown`, `log.out_of_range`. */
  async read({ topic, partition }: TopicPartition, from: bigint, signal?: AbortSignal): Promise<RecordsRead> {
    const { run, next } = await this.#thread.request("read", { topic, partition, from }, signal);
    return { records: recordsOf(run, from), next };
  }

  bounds({ topic, partition }: TopicPartition, signal?: AbortSignal): Promise<LogBounds> {
    return this.#thread.request("bounds", { topic, partition }, signal);
  }

  async deleteTopics(names: readonly string[], signal?: AbortSignal): Promise<void> {
    await this.#thread.request("deleteTopics", { names }, signal);
  }

  /** Sizes and counts, for status and metrics. */
  statistics(signal?: AbortSignal): Promise<LogStatistics> {
    return this.#thread.request("statistics", null, signal);
  }

  /** Deletes at once all that may be deleted, instead of bit by bit in the background, and gives the disk its space back. */
  async reclaim(signal?: AbortSignal): Promise<void> {
    await this.#thread.request("reclaim", null, signal);
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#thread.close();
  }
}
