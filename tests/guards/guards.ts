import { captureGuards } from "./capture-guards.ts";
import { controlGuards } from "./control-guards.ts";
import { deliveryGuards } from "./delivery-guards.ts";
import { logGuards } from "./log-guards.ts";
import type { Guard } from "./guard.ts";
import { kafkaGuards } from "./kafka-guards.ts";
import { registryGuards } from "./registry-guards.ts";

const sourceContract = "services/capture-postgres/src/source-contract.postgres.test.ts";
const sinkContract = "services/sink-postgres/src/sink-contract.postgres.test.ts";
const logContract = "libs/event-log-sqlite/src/sqlite-event-log.long.test.ts";
const captureModel = "libs/capture/src/capture.test.ts";

/** Every guard that is proven. `docs/invariants.md` is generated from this list. */
export const guards: readonly Guard[] = [
  {
    name: "the replication library's acknowledge adds one, which is taken off again",
    invariant: "I1",
    file: "libs/postgres/src/replication-connection.ts",
    find: "formatLsn(this.#acknowledged - 1n)",
    replace: "formatLsn(this.#acknowledged)",
    test: {
      file: sourceContract,
      title: "I3: an acknowledged transaction does not take along one that was interleaved with it",
    },
  },
  {
    name: "what was received is not acknowledged before it is stored",
    invariant: "I1",
    file: "libs/postgres/src/replication-connection.ts",
    find: "      receiver.keepAlive(parseLsn(lsn));\n",
    replace: "      receiver.keepAlive(parseLsn(lsn));\n      this.acknowledge(parseLsn(lsn));\n",
    test: {
      file: sourceContract,
      title: "I1: a reader that keeps its connection open for long acknowledges nothing by itself",
    },
  },
  {
    name: "a position is acknowledged only after its append",
    invariant: "I1",
    file: "libs/capture/src/log-appender.ts",
    find: '    failpoint("capture.before_append");\n',
    replace: '    source.acknowledge(next.position);\n    failpoint("capture.before_append");\n',
    test: {
      file: captureModel,
      title: "I3: writers race chunks, with commits that become visible late: no gap, no stale row",
    },
    short: true,
  },
  {
    name: "an apply begins by moving its offset under its epoch",
    invariant: "I2",
    file: "services/sink-postgres/src/apply-unit.ts",
    find: "AND epoch = $4 AND next_offset = $5`",
    replace: "AND $4::bigint > 0 AND next_offset = $5`",
    test: { file: sinkContract, title: "I2: a unit of an earlier epoch is stale and changes nothing" },
    short: true,
  },
  {
    name: "an apply begins at the stored offset",
    invariant: "I2",
    file: "services/sink-postgres/src/apply-unit.ts",
    find: "AND epoch = $4 AND next_offset = $5`",
    replace: "AND epoch = $4 AND $5::bigint >= 0`",
    test: { file: sinkContract, title: "I2: a unit that begins at another offset than the stored one is stale" },
  },
  {
    name: "a claim raises the epoch",
    invariant: "I2",
    file: "services/sink-postgres/src/claims.ts",
    find: "DO UPDATE SET epoch = o.epoch + 1,",
    replace: "DO UPDATE SET epoch = o.epoch,",
    test: { file: sinkContract, title: "I2: a claim raises the epoch and answers the stored offset" },
  },
  {
    name: "an append checks the epoch of its writer",
    invariant: "I2",
    file: "libs/event-log-sqlite/src/append-store.ts",
    find: "if (this.#epoch.get(writer) !== epoch) throw",
    replace: "if (this.#epoch.get(writer) === undefined) throw",
    test: { file: logContract, title: "I2: of a fenced writer fail and leave nothing" },
    short: true,
  },
  {
    name: "a group's progress never moves back",
    invariant: "I2",
    file: "libs/event-log-sqlite/src/group-store.ts",
    find: "DO UPDATE SET next = max(next, excluded.next)",
    replace: "DO UPDATE SET next = excluded.next",
    test: { file: logContract, title: "I2: remember how far they are, and never go back" },
  },
  {
    name: "what was delivered before a chunk's low watermark must be visible to it",
    invariant: "I3",
    file: "libs/capture/src/chunk-read.ts",
    find: 'return txIds.length > 0 ? { kind: "unseen", txIds } : null;',
    replace: "return txIds.length < 0 ? { kind: 'unseen', txIds } : null;",
    test: {
      file: captureModel,
      title: "I3: writers race chunks, with commits that become visible late: no gap, no stale row",
    },
    short: true,
  },
  {
    name: "transactions not yet seen are stored with the position",
    invariant: "I3",
    file: "libs/capture/src/log-appender.ts",
    find: "unseen: unseen.current(),",
    replace: "unseen: [],",
    test: {
      file: "libs/capture/src/snapshot-under-fire.postgres.test.ts",
      title: "I3: a capture that dies after the delivery of such a commit still waits for it",
    },
  },
  {
    name: "a table joins the publication under a lock that waits for its writers",
    invariant: "I3",
    file: "services/capture-postgres/src/publication.ts",
    find: "LOCK TABLE ONLY ${name} IN SHARE ROW EXCLUSIVE MODE;",
    replace: "",
    test: {
      file: sourceContract,
      title: "I3: a table joins only when every transaction that had written it has ended",
    },
  },
  {
    name: "changes in a window win over the chunk's rows",
    invariant: "I4",
    file: "libs/capture/src/chunk-publisher.ts",
    find: "window.size === 0 ? row : window.resolve(rowKeyIdentity(version.schema, row), row)",
    replace: "window.size === 0 ? row : row",
    test: {
      file: captureModel,
      title: "I3: writers race chunks, with commits that become visible late: no gap, no stale row",
    },
    short: true,
  },
  {
    name: "a key's partition does not depend on its schema id",
    invariant: "I4",
    file: "libs/avro/src/wire-format.ts",
    find: "return keyHash(key, wireHeaderBytes) % partitions;",
    replace: "return keyHash(key, 0) % partitions;",
    test: {
      file: "libs/avro/src/murmur2.test.ts",
      title: "I4: a new schema id does not move a key to another partition",
    },
    short: true,
  },
  {
    name: "the offset is stored in the transaction of the rows",
    invariant: "I5",
    file: "services/sink-postgres/src/apply-unit.ts",
    find: '  failpoint("sink.after_first_update");\n',
    replace:
      '  failpoint("sink.after_first_update");\n  void session.send({ text: "COMMIT" });\n  void session.send({ text: "BEGIN" });\n',
    test: {
      file: sinkContract,
      title: "I6, I8: a row that a constraint forbids is refused as a row, all of the unit rolled back",
    },
    short: true,
  },
  {
    name: "a column type that would round or cut is refused",
    invariant: "I6",
    file: "services/sink-postgres/src/shape-conflict.ts",
    find: "if (!fits(column, found)) {",
    replace: "if (!fits(column, found) && column.name === '') {",
    test: { file: sinkContract, title: "I6: strategy append refuses" },
  },
  {
    name: "damaged UTF-8 is an error, not another text",
    invariant: "I6",
    file: "libs/avro/src/byte-reader.ts",
    find: "if (text.includes(replacement) && !isUtf8(buffer.subarray(from, to))) {",
    replace: "if (text.includes(replacement) && text === replacement.repeat(9)) {",
    test: {
      file: "libs/avro/src/damaged-record.test.ts",
      title: "I6: damaged UTF-8 is an error, the replacement character itself is not",
    },
    short: true,
  },
  {
    name: "a COMMIT without an answer is settled by asking the target",
    invariant: "I7",
    file: "services/sink-postgres/src/apply-unit.ts",
    find: 'return { kind: "unknown", rereads };',
    replace: 'return { kind: "applied", rereads };',
    test: { file: sinkContract, title: "I7: a COMMIT that never arrived is tried again, once" },
  },
  {
    name: "the server ends a frozen owner's open transaction",
    invariant: "I7",
    file: "services/sink-postgres/src/postgres-sink.ts",
    find: "idle_in_transaction_session_timeout: String(options.idleTransactionTimeoutMs ?? 30_000),",
    replace: 'idle_in_transaction_session_timeout: "0",',
    test: { file: sinkContract, title: "I7: the server frees what a frozen owner holds, where nobody may end it" },
  },
  {
    name: "chunks that were in flight at a crash are read again",
    invariant: "I7",
    file: "libs/capture/src/scan-progress.ts",
    find: "return this.#segments.filter((segment) => !segment.done).map((segment) => segment.range);",
    replace:
      "return this.#segments.filter((segment) => segment.done && !segment.done).map((segment) => segment.range);",
    test: {
      file: "libs/capture/src/scan-progress.test.ts",
      title:
        "I7: whatever order chunks finish in, and wherever it stops, exactly the unpublished ranges are read again",
    },
    short: true,
  },
  {
    name: "a driver's message is not passed on",
    invariant: "I8",
    file: "services/sink-postgres/src/target-error.ts",
    find: "return new DataTraceError(codeOf(error, failure.kind, failure.code), { detail });",
    replace:
      "return new DataTraceError(codeOf(error, failure.kind, failure.code), { detail, message: String(error) });",
    test: {
      file: sinkContract,
      title: "I8: a value that the type cannot read is refused as a row, without the value",
    },
  },
  {
    name: "a secret is written as a secret",
    invariant: "I8",
    file: "libs/runtime/src/log-fields.ts",
    find: "if (value instanceof Secret) return value.toString(); // I8",
    replace: "if (value instanceof Secret) return value.reveal();",
    test: {
      file: "libs/runtime/src/structured-logger.test.ts",
      title: "I8: secrets, bytes and the messages of foreign errors are not written",
    },
    short: true,
  },
  {
    name: "a process that was taken over writes a fence marker before it touches the stream",
    invariant: "I2",
    file: "libs/capture/src/start-up.ts",
    find: "await writer.append([{ topic: stateTopic(capture), partition: 0, key: fenceKey, value: null }]);",
    replace: "void fenceKey;",
    test: {
      file: "tests/e2e/main-job.postgres.test.ts",
      title: "I2: a second run takes over undisturbed; the first ends with log.fenced",
    },
  },
  {
    name: "the text of a foreign error stays out of the log",
    invariant: "I8",
    file: "libs/runtime/src/log-fields.ts",
    find: "return { name: error.name, ...own,",
    replace: "return { name: error.name, message: error.message, ...own,",
    test: {
      file: "libs/runtime/src/structured-logger.test.ts",
      title: "I8: secrets, bytes and the messages of foreign errors are not written",
    },
    short: true,
  },
  {
    name: "what stands in the wrong place of a pipeline file is not repeated",
    invariant: "I8",
    file: "libs/runtime/src/file-problem.ts",
    find: 'return /^[\\w.*?+-]{1,80}$/.test(name) ? `\\`${name}\\`` : "(not shown: not a plain name)";',
    replace: "return name;",
    test: {
      file: "libs/runtime/src/load-pipeline.test.ts",
      title: "in the wrong place as a field's name, they are not repeated",
    },
    short: true,
  },
  ...captureGuards,
  ...deliveryGuards,
  ...logGuards,
  ...kafkaGuards,
  ...registryGuards,
  ...controlGuards,
];
