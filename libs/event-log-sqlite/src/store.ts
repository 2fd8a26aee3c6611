import { mkdirSync } from "node:fs";
import { join } from "node:path";

import { DataTraceError, failpoint, invariant } from "@datatrace/core";
import type { GroupProgress } from "@datatrace/core";

import { AppendStore } from "./append-store.ts";
import { FetchDesk } from "./fetch-desk.ts";
import { requireLocalFileSystem } from "./file-system.ts";
import { GroupStore } from "./group-store.ts";
import { leasesSchema, logFormat, logSchema } from "./log-schema.ts";
import { Maintenance } from "./maintenance.ts";
import { Membership } from "./membership.ts";
import type { FromWorker, Operation, Operations, StoreSettings } from "./protocol.ts";
import { ReadStore } from "./read-store.ts";
import { RegistrationStore } from "./registration-store.ts";
import { Retention } from "./retention.ts";
import { SchemaStore } from "./schema-store.ts";
import { Space } from "./space.ts";
import { fromSqlite, isBusy } from "./sqlite-error.ts";
import { SqliteFile } from "./sqlite-file.ts";
import { readStatistics } from "./statistics-query.ts";
import { TopicStore } from "./topic-store.ts";
import { Watch } from "./watch.ts";

/** How an operation is carried out: with its request, and the request's id so that waiting can be given up. */
export type Handlers = {
  readonly [O in Exclude<Operation, "open" | "close">]: (
    request: Operations[O]["request"],
    id: number,
  ) => Promise<Operations[O]["answer"]>;
};

/** Everything that works on the two files, in the log's own thread. */
export class Store {
  readonly handlers: Handlers;
  readonly fetches: FetchDesk;
  readonly #log: SqliteFile;
  readonly #leases: SqliteFile;
  readonly #members: Membership;
  readonly #maintenance: Maintenance;
  readonly #topics: TopicStore;
  readonly #groups: GroupStore;
  readonly #watch: Watch;
  #logVersion = -1;
  #leasesVersion = -1;
  #topicsVersion = -1;
  #grantsVersion = -1;

  private constructor(
    log: SqliteFile,
    leases: SqliteFile,
    settings: StoreSettings,
    send: (message: FromWorker, transfer?: ArrayBuffer[]) => void,
  ) {
    this.#log = log;
    this.#leases = leases;
    const topics = new TopicStore(log.database);
    const space = new Space(log.database, settings.maxSizeBytes);
    const appends = new AppendStore(log.database, topics, space);
    const reads = new ReadStore(log.database, topics);
    const registrations = new RegistrationStore(log.database);
    const groups = new GroupStore(leases.database, topics, settings.leaseMs);
    const schemas = new SchemaStore(log.database);
    this.#topics = topics;
    this.#groups = groups;
    this.fetches = new FetchDesk(log, reads, send);
    this.#members = new Membership(leases, groups, settings.leaseMs, send);
    const retention = new Retention(log.database, registrations, groups);
    this.#maintenance = new Maintenance(log, retention, space, () => this.fetches.lastAnswerMs);
    this.#watch = new Watch(() => this.#look());

    // What is there already is found without the write lock, which another process may hold for long.
    this.handlers = {
      ensureTopic: async (spec, id) => {
        const known = await log.read(() => topics.check(spec), id);
        if (known !== null) return known;
        const topic = await log.write(() => topics.ensure(spec), id);
        await this.#members.rebalance();
        return topic;
      },
      topic: ({ name }, id) => log.read(() => topics.find(name), id),
      topics: ({ prefix }, id) => log.read(() => topics.names(prefix), id),
      deleteTopics: async ({ names }, id) => {
        const gone = await log.write(() => {
          const partitions = topics.partitionsOf(names);
          for (const name of names) topics.remove(name);
          return partitions;
        }, id);
        await leases.write(() => gone.forEach((partition) => groups.removeCommitsOf(partition.id)), id, false);
        await this.#members.rebalance();
        this.#maintenance.retainSoon();
        return null;
      },
      bounds: (partition, id) => log.read(() => topics.bounds(partition), id),
      openWriter: async (request, id) => ({ epoch: await log.write(() => appends.openWriter(request.id), id) }),
      append: async ({ writer, epoch, ...packed }, id) => {
        const { ranges, partitionIds } = await log.write(() => appends.append(writer, epoch, packed), id);
        // The answer leaves first, then the readers' news; housekeeping comes last.
        setImmediate(() => {
          this.fetches.wake(partitionIds);
          setImmediate(() => this.#maintenance.written(packed.bytes.byteLength));
        });
        return this.#committed(ranges);
      },
      read: ({ topic, partition, from }, id) =>
        log.read(() => reads.at({ topic, partition }, topics.partition({ topic, partition }).id, from), id),
      latestByKey: async ({ topic }, id) =>
        await log.read(() => {
          const row = topics.partition({ topic, partition: 0 });
          invariant(row.cleanup === "compact", "latestByKey is asked of a compacted topic");
          return reads.latestByKey(topics.partitionsOf([topic]).map((partition) => partition.id));
        }, id),
      registerGroup: async ({ group, topics: names }, id) => {
        if (await log.read(() => registrations.has(group, names, true), id)) return null;
        await log.write(() => registrations.replace(group, names), id);
        return null;
      },
      removeGroup: async ({ group }, id) => {
        // In this order: a removal that is cut off in between finds the group again by its registration (I7).
        await leases.write(() => groups.removeUnused(group), id, false);
        await log.write(() => registrations.removeGroup(group), id);
        this.#maintenance.retainSoon();
        return null;
      },
      groupProgress: async ({ group }, id) => {
        const commits = await leases.read(() => groups.commits(group), id);
        return await log.read(
          () =>
            topics
              .partitionsOf(registrations.topics(group))
              .map(({ topic, partition, id: partitionId }): GroupProgress => {
                const bounds = topics.bounds({ topic, partition });
                return { topic, partition, ...bounds, next: commits.get(partitionId) ?? null };
              }),
          id,
        );
      },
      // A member is in the leases before its topics are registered: a member that gives a topic up at the same time
      // then either sees it there, or comes before the registration and cannot undo it.
      openReader: async ({ reader, group, topics: names }, id) => {
        await this.#members.join(reader, group, names, id);
        if (await log.read(() => registrations.has(group, names, false), id)) return null;
        await log.write(() => registrations.add(group, names), id);
        return null;
      },
      setTopics: async ({ reader, topics: names }, id) => {
        const { group, topics: before } = this.#members.find(reader);
        await this.#members.join(reader, group, names, id);
        await log.write(() => {
          const wanted = groups.topicsOfOthers(reader, group);
          const given = before.filter((topic) => !names.includes(topic) && !wanted.has(topic));
          registrations.remove(group, given);
          registrations.add(group, names);
        }, id);
        return null;
      },
      closeReader: async ({ reader }, id) => {
        this.fetches.close(reader);
        await this.#members.leave(reader, id);
        return null;
      },
      commit: async ({ group, partitionId, next }, id) => {
        await this.#members.commit(group, partitionId, next, id);
        this.#maintenance.retainSoon();
        return null;
      },
      registerSchema: async ({ subject, schema }, id) => {
        const known = await log.read(() => schemas.find(subject, schema), id);
        return known ?? (await log.write(() => schemas.register(subject, schema), id));
      },
      schemaById: (request, id) => log.read(() => schemas.byId(request.id), id),
      statistics: (_, id) => log.read(() => readStatistics(log.database, space, settings.maxSizeBytes), id),
      reclaim: async () => {
        await this.#maintenance.reclaim();
        return null;
      },
    };
  }

  static async open(
    settings: StoreSettings,
    send: (message: FromWorker, transfer?: ArrayBuffer[]) => void,
  ): Promise<Store> {
    mkdirSync(settings.directory, { recursive: true, mode: 0o700 });
    requireLocalFileSystem(settings.directory);
    const common = { format: logFormat, lockedAfterMs: settings.lockedAfterMs };
    const log = await SqliteFile.open({
      ...common,
      path: join(settings.directory, "log.sqlite"),
      schema: logSchema,
      pageSizeBytes: 8192,
    });
    try {
      const leases = await SqliteFile.open({
        ...common,
        path: join(settings.directory, "leases.sqlite"),
        schema: leasesSchema,
        pageSizeBytes: 4096,
      });
      try {
        await bindLeases(log, leases);
        const store = new Store(log, leases, settings, send);
        log.share();
        leases.share();
        return store;
      } catch (error) {
        leases.close();
        throw error;
      }
    } catch (error) {
      log.close();
      throw error;
    }
  }

  /** True when the request still waited for its turn. */
  cancel(id: number): boolean {
    return this.#log.cancel(id) || this.#leases.cancel(id);
  }

  close(): void {
    this.#watch.close();
    this.#maintenance.close();
    try {
      this.#members.close();
    } finally {
      this.#leases.close();
      this.#log.close();
    }
  }

  /** From here on nothing may look as if the append had not been made. */
  #committed<T>(answer: T): T {
    try {
      failpoint("log.after_commit");
    } catch (cause) {
      throw new DataTraceError("log.commit_unknown", { cause });
    }
    return answer;
  }

  /** Looks for what other processes have done; what this one does is mostly known without looking. */
  #look(): boolean {
    if (!this.#members.any) return false;
    try {
      const logVersion = this.#log.dataVersion();
      const news = logVersion !== this.#logVersion;
      this.#logVersion = logVersion;
      if (news) this.fetches.wakeAll().catch((error: unknown) => this.#members.fail(error));
      const topicsVersion = this.#topics.version();
      if (topicsVersion !== this.#topicsVersion) this.#rebalance(topicsVersion);
      const leasesVersion = this.#leases.dataVersion();
      if (leasesVersion !== this.#leasesVersion) {
        const grantsVersion = this.#groups.version();
        if (grantsVersion !== this.#grantsVersion) this.#members.tell();
        this.#grantsVersion = grantsVersion;
        this.#leasesVersion = leasesVersion;
      }
      return news;
    } catch (error) {
      if (!isBusy(error)) this.#members.fail(fromSqlite(error, this.#log.name));
      return false;
    }
  }

  #rebalance(topicsVersion: number): void {
    this.#topicsVersion = topicsVersion;
    this.#members.rebalance().catch((error: unknown) => {
      this.#topicsVersion = -1; // The next look tries again.
      this.#members.fail(error);
    });
  }
}

/** The leases belong to one log: if the log's file is another than before, nothing in them is true. */
async function bindLeases(log: SqliteFile, leases: SqliteFile): Promise<void> {
  const logId = await log.read(() =>
    log.database.prepare("SELECT value FROM meta WHERE name = 'log_id'").pluck().get(),
  );
  await leases.write(() => {
    const bound = leases.database.prepare("SELECT value FROM meta WHERE name = 'log_id'").pluck().get();
    if (bound === logId) return;
    leases.database.exec("DELETE FROM members; DELETE FROM assignments; DELETE FROM commits;");
    leases.database.prepare("INSERT OR REPLACE INTO meta VALUES ('log_id', ?)").run(logId);
  });
}
