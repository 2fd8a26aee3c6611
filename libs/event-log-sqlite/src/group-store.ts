import { DataTraceError } from "@datatrace/core";
import type { Database, Statement } from "better-sqlite3";

import { assign } from "./assignment.ts";
import type { AssignedPartition } from "./protocol.ts";
import type { TopicStore } from "./topic-store.ts";

interface MemberRow {
  readonly id: string;
  readonly topics: string;
}

interface AssignmentRow {
  readonly partition: number;
  readonly member: string;
}

/**
 * Members of groups, their leases, who has which partition, and how far each group is, in the leases' file. Leases
 * decide liveness only. Every method is one step of a transaction that the caller holds.
 */
export class GroupStore {
  readonly #topics: TopicStore;
  readonly #leaseMs: number;
  readonly #putMember: Statement;
  readonly #renew: Statement;
  readonly #removeMember: Statement;
  readonly #removeExpired: Statement;
  readonly #members: Statement;
  readonly #assignments: Statement;
  readonly #assignmentsOf: Statement;
  readonly #give: Statement;
  readonly #takeAway: Statement;
  readonly #nextGrant: Statement;
  readonly #lastGrant: Statement;
  readonly #commit: Statement;
  readonly #commits: Statement;
  readonly #removeCommits: Statement;
  readonly #removeCommitsOf: Statement;

  constructor(database: Database, topics: TopicStore, leaseMs: number) {
    this.#topics = topics;
    this.#leaseMs = leaseMs;
    this.#putMember = database.prepare(`
      INSERT INTO members (id, "group", topics, lease_ms, expires_ms) VALUES (?, ?, ?, ?, ?)
      ON CONFLICT (id) DO UPDATE SET topics = excluded.topics, expires_ms = excluded.expires_ms`);
    this.#renew = database.prepare("UPDATE members SET expires_ms = ? WHERE id = ?");
    this.#removeMember = database.prepare("DELETE FROM members WHERE id = ?");
    // The clock starts again with the machine: a lease that would last longer than any can is from before.
    this.#removeExpired = database
      .prepare('DELETE FROM members WHERE expires_ms < :nowMs OR expires_ms > :nowMs + lease_ms RETURNING "group"')
      .pluck();
    this.#members = database.prepare('SELECT id, topics FROM members WHERE "group" = ?');
    this.#assignments = database.prepare('SELECT partition, member FROM assignments WHERE "group" = ?');
    this.#assignmentsOf = database.prepare(
      'SELECT partition, grant_id FROM assignments WHERE "group" = ? AND member = ?',
    );
    this.#give = database.prepare(`
      INSERT INTO assignments ("group", partition, member, grant_id) VALUES (?, ?, ?, ?)
      ON CONFLICT ("group", partition) DO UPDATE SET member = excluded.member, grant_id = excluded.grant_id`);
    this.#takeAway = database.prepare('DELETE FROM assignments WHERE "group" = ? AND partition = ?');
    this.#nextGrant = database
      .prepare("UPDATE meta SET value = value + 1 WHERE name = 'last_grant' RETURNING value")
      .pluck();
    this.#lastGrant = database.prepare("SELECT value FROM meta WHERE name = 'last_grant'").pluck();
    this.#commit = database.prepare(`
      INSERT INTO commits ("group", partition, next) VALUES (?, ?, ?)
      ON CONFLICT ("group", partition) DO UPDATE SET next = max(next, excluded.next)`); // I2
    this.#commits = database.prepare('SELECT partition, next FROM commits WHERE "group" = ?').safeIntegers();
    this.#removeCommits = database.prepare('DELETE FROM commits WHERE "group" = ?');
    this.#removeCommitsOf = database.prepare("DELETE FROM commits WHERE partition = ?");
  }

  /** Registers the member, or gives it other topics, and spreads the partitions anew. */
  join(member: string, group: string, topics: readonly string[]): void {
    this.#putMember.run(member, group, JSON.stringify(topics), this.#leaseMs, monotonicMs() + this.#leaseMs);
    this.expire();
    this.rebalance(group);
  }

  leave(member: string, group: string): void {
    this.#removeMember.run(member);
    this.rebalance(group);
  }

  /** False when the member was taken for dead meanwhile, and has to join again. */
  renew(member: string): boolean {
    return this.#renew.run(monotonicMs() + this.#leaseMs, member).changes > 0;
  }

  /** Removes members whose lease has run out, of any group, and gives their partitions away. */
  expire(): void {
    const groups = new Set(this.#removeExpired.all({ nowMs: monotonicMs() }) as string[]);
    for (const group of groups) this.rebalance(group);
  }

  /** Brings the assignments of a group in line with its live members and the topics there are. */
  rebalance(group: string): void {
    const members = (this.#members.all(group) as MemberRow[]).map((row) => ({
      id: row.id,
      topics: new Set(JSON.parse(row.topics) as string[]),
    }));
    const wanted = [...new Set(members.flatMap((member) => [...member.topics]))];
    const owners = new Map((this.#assignments.all(group) as AssignmentRow[]).map((row) => [row.partition, row.member]));
    const next = assign(this.#topics.partitionsOf(wanted), members, owners);
    for (const partition of owners.keys()) {
      if (next.has(partition)) continue;
      this.#takeAway.run(group, partition);
      this.#nextGrant.get();
    }
    for (const [partition, member] of next) {
      if (owners.get(partition) !== member) this.#give.run(group, partition, member, this.#nextGrant.get());
    }
  }

  /** Raised whenever a partition is given or taken away, by any process. */
  version(): number {
    return this.#lastGrant.get() as number;
  }

  /** What the member has now. `topics` are those it wants, to put names to the partitions. */
  assigned(member: string, group: string, topics: readonly string[]): readonly AssignedPartition[] {
    const grants = new Map(
      (this.#assignmentsOf.all(group, member) as { partition: number; grant_id: number }[]).map((row) => [
        row.partition,
        row.grant_id,
      ]),
    );
    return this.#topics.partitionsOf(topics).flatMap(({ topic, partition, id }) => {
      const grant = grants.get(id);
      return grant === undefined ? [] : [{ topic, partition, partitionId: id, grant }];
    });
  }

  /** Topics that live members of the group read, apart from this one. */
  topicsOfOthers(member: string, group: string): ReadonlySet<string> {
    const others = (this.#members.all(group) as MemberRow[]).filter((row) => row.id !== member);
    return new Set(others.flatMap((row) => JSON.parse(row.topics) as string[]));
  }

  commit(group: string, partitionId: number, next: bigint): void {
    this.#commit.run(group, partitionId, next);
  }

  /** Offsets by partition id. */
  commits(group: string): ReadonlyMap<number, bigint> {
    const rows = this.#commits.all(group) as { partition: bigint; next: bigint }[];
    return new Map(rows.map((row) => [Number(row.partition), row.next]));
  }

  /** Forgets what the group has committed. @throws DataTraceError `log.group_in_use` while a member's lease runs. */
  removeUnused(group: string): void {
    this.expire();
    if (this.#members.all(group).length > 0) throw new DataTraceError("log.group_in_use", { detail: { group } });
    this.#removeCommits.run(group);
  }

  removeCommitsOf(partitionId: number): void {
    this.#removeCommitsOf.run(partitionId);
  }
}

/** Milliseconds of a clock that all processes of the machine share and that nobody can set. */
function monotonicMs(): number {
  return Number(process.hrtime.bigint() / 1_000_000n);
}
