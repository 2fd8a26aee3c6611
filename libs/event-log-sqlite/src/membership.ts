import { DataTraceError, invariant } from "@datatrace/core";

import type { GroupStore } from "./group-store.ts";
import type { AssignedPartition, FromWorker } from "./protocol.ts";
import { toWire } from "./sqlite-error.ts";
import type { SqliteFile } from "./sqlite-file.ts";

interface LocalMember {
  readonly group: string;
  topics: readonly string[];
  /** What the reader was last told, to tell it only what is new. */
  told: string;
}

/** The members that live in this process: keeps their leases alive, and tells them what they have. */
export class Membership {
  readonly #leases: SqliteFile;
  readonly #groups: GroupStore;
  readonly #send: (message: FromWorker) => void;
  readonly #local = new Map<string, LocalMember>();
  readonly #unnoted = new Map<string, { group: string; partitionId: number; next: bigint }>();
  readonly #heartbeat: NodeJS.Timeout;

  constructor(leases: SqliteFile, groups: GroupStore, leaseMs: number, send: (message: FromWorker) => void) {
    this.#leases = leases;
    this.#groups = groups;
    this.#send = send;
    this.#heartbeat = setInterval(() => this.#beat(), Math.max(leaseMs / 4, 10));
  }

  get any(): boolean {
    return this.#local.size > 0;
  }

  /** Joins, or changes the topics of a member. */
  async join(reader: string, group: string, topics: readonly string[], id: number): Promise<void> {
    await this.#leases.write(() => this.#groups.join(reader, group, topics), id, false);
    const member = this.#local.get(reader);
    if (member === undefined) this.#local.set(reader, { group, topics, told: "" });
    else member.topics = topics;
    this.tell();
  }

  async leave(reader: string, id: number | null): Promise<void> {
    const member = this.#local.get(reader);
    if (member === undefined) return;
    this.#local.delete(reader);
    await this.#leases.write(() => this.#groups.leave(reader, member.group), id, false);
    this.tell();
  }

  /** The group and the topics of an open reader. */
  find(reader: string): { readonly group: string; readonly topics: readonly string[] } {
    const member = this.#local.get(reader);
    invariant(member !== undefined, "the reader is open");
    return member;
  }

  /**
   * Notes how far a group is. It is only a hint, so a full disk is no reason to fail: it is then noted with a later
   * heartbeat.
   */
  async commit(group: string, partitionId: number, next: bigint, id: number): Promise<void> {
    try {
      await this.#leases.write(() => this.#groups.commit(group, partitionId, next), id, false);
    } catch (error) {
      if (!(error instanceof DataTraceError) || error.code !== "log.full") throw error;
      this.#unnoted.set(`${partitionId} ${group}`, { group, partitionId, next });
    }
  }

  /** To be called when topics were created or deleted. */
  async rebalance(): Promise<void> {
    const groups = new Set([...this.#local.values()].map((member) => member.group));
    if (groups.size === 0) return;
    await this.#leases.write(
      () => {
        for (const group of groups) this.#groups.rebalance(group);
      },
      null,
      false,
    );
    this.tell();
  }

  /** Every reader of this process meets this error. */
  fail(error: unknown): void {
    for (const reader of this.#local.keys()) this.#send({ kind: "reader_failed", reader, error: toWire(error) });
  }

  /** Tells every reader whose partitions have changed, by whomever. */
  tell(): void {
    for (const [reader, member] of this.#local) void this.#tellOne(reader, member);
  }

  /** Leaves all groups, as far as that is possible at once; what is left ends with its lease. */
  close(): void {
    clearInterval(this.#heartbeat);
    if (this.#local.size === 0) return;
    this.#leases.tryWrite(() => {
      for (const [reader, { group }] of this.#local) this.#groups.leave(reader, group);
    }, false);
    this.#local.clear();
  }

  async #tellOne(reader: string, member: LocalMember): Promise<void> {
    try {
      const partitions = await this.#leases.read(() => this.#groups.assigned(reader, member.group, member.topics));
      const told = fingerprint(partitions);
      if (this.#local.get(reader) !== member || told === member.told) return;
      member.told = told;
      this.#send({ kind: "assignment", reader, partitions });
    } catch (error) {
      this.#send({ kind: "reader_failed", reader, error: toWire(error) });
    }
  }

  #beat(): void {
    if (this.#local.size === 0) return;
    try {
      // Busy: the next beat comes long before the lease ends.
      const beaten = this.#leases.tryWrite(() => {
        for (const [reader, { group, topics }] of this.#local) {
          if (!this.#groups.renew(reader)) this.#groups.join(reader, group, topics);
        }
        this.#groups.expire();
        for (const { group, partitionId, next } of this.#unnoted.values())
          this.#groups.commit(group, partitionId, next);
        return true;
      }, false);
      if (beaten === true) this.#unnoted.clear();
      this.tell();
    } catch (error) {
      // A full disk passes; until then the lease may end, and another member takes over.
      if (error instanceof DataTraceError && error.code === "log.full") return;
      this.fail(error);
    }
  }
}

function fingerprint(partitions: readonly AssignedPartition[]): string {
  return partitions.map(({ partitionId, grant }) => `${partitionId}:${grant}`).join(" ") || "none";
}
