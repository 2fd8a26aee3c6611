import type { Guard } from "./guard.ts";

/** Guards of the delivery runtime and of the PostgreSQL sink. */
export const deliveryGuards: readonly Guard[] = [
  {
    name: "two partial changes do not make a whole row",
    invariant: "I4",
    file: "libs/delivery/src/collapse.ts",
    find: "outcome.partial = earlier === null || outcome.partial;",
    replace: "outcome.partial = earlier === null;",
    test: {
      file: "libs/delivery/src/collapse.test.ts",
      title: "I4: changes folded in batches of any size end in the same rows and requests as one by one",
    },
  },
  {
    name: "an unchanged column is filled from the earlier change",
    invariant: "I4",
    file: "libs/delivery/src/collapse.ts",
    find: "filled(event.row, earlier)",
    replace: "event.row",
    test: {
      file: "libs/delivery/src/collapse.test.ts",
      title: "I4: changes folded in batches of any size end in the same rows and requests as one by one",
    },
  },
  {
    name: "a delete settles an earlier request",
    invariant: "I3",
    file: "libs/delivery/src/collapse.ts",
    find: "if (!partial || deleted !== null) yield keyId",
    replace: "if (!partial) yield keyId",
    test: {
      file: "libs/delivery/src/collapse.test.ts",
      title: "I3: a delete settles an earlier request, whatever comes after it",
    },
  },
  {
    name: "a frozen owner's session is ended by the claim",
    invariant: "I7",
    file: "services/sink-postgres/src/row-lock.ts",
    find: "SELECT pg_terminate_backend(pid)",
    replace: "SELECT pid",
    test: {
      file: "services/sink-postgres/src/sink-contract.postgres.test.ts",
      title: "I7: a claim does not wait for an owner frozen at sink.before_commit",
    },
  },
  {
    name: "an offset of another topic epoch is refused",
    invariant: "I2",
    file: "services/sink-postgres/src/claims.ts",
    find: "WHERE o.topic_epoch = EXCLUDED.topic_epoch",
    replace: "WHERE o.topic_epoch > 0",
    test: {
      file: "services/sink-postgres/src/sink-contract.postgres.test.ts",
      title: "I2: offsets of a topic that was made anew are refused, and kept",
    },
  },
  {
    name: "a lost COMMIT that happened is found in the stored offset",
    invariant: "I7",
    file: "services/sink-postgres/src/lost-commit.ts",
    find: "if (mine.some(({ at, next }) => progressOf(unit, at)?.next === next)) return",
    replace: "if (mine.length > unit.partitions.length) return",
    test: {
      file: "services/sink-postgres/src/sink-contract.postgres.test.ts",
      title: "I7: a COMMIT whose answer is lost counts when it happened",
    },
  },
  {
    name: "a stale owner hears that first",
    invariant: "I2",
    file: "services/sink-postgres/src/apply-unit.ts",
    find: "if (stale.length > 0) {",
    replace: "if (stale.length > 0 && changed.every(({ error }) => error === null)) {",
    test: {
      file: "services/sink-postgres/src/sink-contract.postgres.test.ts",
      title: "I2: a stale owner learns that it is stale, not that its row is bad",
    },
  },
  {
    name: "changes of the target's shape take a lock",
    invariant: "I7",
    file: "services/sink-postgres/src/helper-tables.ts",
    find: '"SELECT pg_advisory_xact_lock(7233190438448030051)"',
    replace: '"SELECT 7233190438448030051"',
    test: {
      file: "services/sink-postgres/src/sink-contract.postgres.test.ts",
      title: "I7: several members that start together make everything once",
    },
  },
  {
    name: "silence counts as a lost connection",
    invariant: "I7",
    file: "libs/postgres/src/pipelined-session.ts",
    find: "if (this.#waiting === 0 || !this.#usable) return;",
    replace: "if (this.#waiting >= 0 || !this.#usable) return;",
    test: {
      file: "services/sink-postgres/src/sink-contract.postgres.test.ts",
      title: "I7: a COMMIT lost in a silent network is settled by asking",
    },
  },
  {
    name: "json is not put into jsonb",
    invariant: "I6",
    file: "services/sink-postgres/src/column-fit.ts",
    find: 'native !== "json"',
    replace: 'native !== ""',
    test: {
      file: "services/sink-postgres/src/sink-types.postgres.test.ts",
      title: "I6: a target column that would round, cut, pad or normalise is refused by name; a wider one is taken",
    },
  },
  {
    name: "a key column keeps keys apart",
    invariant: "I4",
    file: "services/sink-postgres/src/column-fit.ts",
    find: "if (!target.deterministic || target",
    replace: "if (target",
    test: {
      file: "services/sink-postgres/src/sink-types.postgres.test.ts",
      title: "I4: a key column that calls different keys equal is refused",
    },
  },
  {
    name: "a column that is gone is not added empty",
    invariant: "I6",
    file: "services/sink-postgres/src/prepare-table.ts",
    find: "if (unit?.columns.includes(column.name) === true) throw",
    replace: "if (unit?.columns.includes(column.name) === null) throw",
    test: {
      file: "services/sink-postgres/src/sink-session.postgres.test.ts",
      title: "a column that was there and is gone is not added again without its values",
    },
  },
  {
    name: "a commit of the target is durable",
    invariant: "I5",
    file: "services/sink-postgres/src/postgres-sink.ts",
    find: 'synchronous_commit: "on",',
    replace: "",
    test: {
      file: "services/sink-postgres/src/sink-session.postgres.test.ts",
      title: "I2, I5: applies read committed and durable, whatever the database's own defaults are",
    },
  },
  {
    name: "sessions are read committed",
    invariant: "I2",
    file: "services/sink-postgres/src/apply-unit.ts",
    find: "BEGIN ISOLATION LEVEL READ COMMITTED",
    replace: "BEGIN ISOLATION LEVEL REPEATABLE READ",
    test: {
      file: "services/sink-postgres/src/sink-session.postgres.test.ts",
      title: "I2, I5: applies read committed and durable, whatever the database's own defaults are",
    },
  },
  {
    name: "parked keys are loaded at the claim",
    invariant: "I4",
    file: "libs/delivery/src/partition-delivery.ts",
    find: "new PartitionParkedKeys(await this.#loadParked(signal))",
    replace: "new PartitionParkedKeys((await this.#loadParked(signal)).slice(0, 0))",
    test: {
      file: "libs/delivery/src/delivery-errors.postgres.test.ts",
      title: "I4: a parked key stays parked after a restart",
    },
  },
  {
    name: "a key parked meanwhile is taken out of the next batch",
    invariant: "I4",
    file: "libs/delivery/src/change-batch.ts",
    find: "if (this.#sorted.version !== this.#parkedKeys.version) {",
    replace: "if (this.#sorted.version > this.#parkedKeys.version) {",
    test: {
      file: "libs/delivery/src/delivery-errors.postgres.test.ts",
      title: "I4, I6: quarantine parks its key and all its later changes; every other row is applied",
    },
  },
  {
    name: "nothing is applied beyond a record that cannot be read",
    invariant: "I3",
    file: "libs/delivery/src/record-intake.ts",
    find: "this.#open.stop = error;",
    replace: "this.#advance(0); if (error === null) this.#open.stop = error;",
    test: {
      file: "libs/delivery/src/delivery-errors.postgres.test.ts",
      title: "I3: a damaged record stops its table before it, and names its place; the others go on",
    },
  },
  {
    name: "halves of a refused batch end where they end",
    invariant: "I6",
    file: "libs/delivery/src/batch-applier.ts",
    find: "this.#part(batch.events.slice(0, half), border.offset)",
    replace: "this.#part(batch.events.slice(0, half), batch.next)",
    test: {
      file: "libs/delivery/src/delivery-errors.postgres.test.ts",
      title: "I6: skip stops its table exactly before it; the others go on",
    },
  },
  {
    name: "too many parked keys stop the table",
    invariant: "I6",
    file: "libs/delivery/src/batch-applier.ts",
    find: "if (isParked && !this.#table.mayPark()) {",
    replace: "if (isParked && !this.#table.mayPark() && batch.events.length > 1) {",
    test: {
      file: "libs/delivery/src/delivery-errors.postgres.test.ts",
      title: "a table with too many parked keys stops, the others go on",
    },
  },
  {
    name: "the log is told no more than what is stored",
    invariant: "I2",
    file: "libs/delivery/src/log-standing.ts",
    find: "for (const [place, { at, next }] of partitions) {",
    replace: "for (const [place, { at, end: next }] of partitions) {",
    test: {
      file: "libs/delivery/src/delivery.postgres.test.ts",
      title: "I2: the log is told what is applied, and never more",
    },
  },
  {
    name: "open requests are sent again at the claim",
    invariant: "I3",
    file: "libs/delivery/src/partition-delivery.ts",
    find: "rereads.asked(open.filter(({ topic }) => topic === this.at.topic));",
    replace: 'rereads.asked(open.filter(({ topic }) => topic === ""));',
    test: {
      file: "libs/delivery/src/delivery.postgres.test.ts",
      title: "I3: a partial update of a missing row asks for it through the log, until it comes",
    },
  },
  {
    name: "what is transient is tried again",
    invariant: "I7",
    file: "libs/delivery/src/batch-applier.ts",
    find: "if (!isPassing(error)) throw error instanceof",
    replace: 'if (!isPassing(error) || error.code !== "") throw error instanceof',
    test: {
      file: "libs/delivery/src/delivery-recovery.postgres.test.ts",
      title: "I7: a target that dies in the middle and comes back loses nothing",
    },
  },
  {
    name: "a delivery goes on from the stored offset",
    invariant: "I3",
    file: "libs/delivery/src/partition-delivery.ts",
    find: "this.#reader.seek(this.at, claim.next);",
    replace: "this.#reader.seek(this.at, claim.next > 0n ? claim.next - 1n : 0n);",
    test: {
      file: "libs/delivery/src/delivery-recovery.postgres.test.ts",
      title: "I5, I7: killed at sink.after_commit",
    },
  },
  {
    name: "a fenced owner that froze with its offset's lock is ended by an apply",
    invariant: "I7",
    file: "services/sink-postgres/src/postgres-sink.ts",
    find: "const takeOver = { idleMs: this.#takeOverMs, lookAfterMs: this.#takeOverMs };",
    replace: "const takeOver = { idleMs: 3_600_000, lookAfterMs: this.#takeOverMs };",
    test: {
      file: "services/sink-postgres/src/sink-session.postgres.test.ts",
      title: "I7: an owner that is fenced, and frozen with the lock of its offset, is not in the way",
    },
  },
];
