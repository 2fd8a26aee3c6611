import { failpoint, invariant, tableId } from "@datatrace/core";
import type {
  ApplyOutcome,
  ApplyUnit,
  PartitionProgress,
  QuarantineEntry,
  RereadRequest,
  TableName,
  TableSchema,
} from "@datatrace/core";
import type { Answer, BoundStatement, PipelinedSession, Statement } from "@datatrace/postgres";
import { arrayLiteral } from "./array-literal.ts";
import type { HelperTables } from "./helper-tables.ts";
import { byPartition } from "./partition-order.ts";
import { bytesText } from "./table-statements.ts";
import type { TableStatements } from "./table-statements.ts";
import { refusalScope, sqlStateOf, targetError } from "./target-error.ts";

/** A statement on its way, and the target table that it writes, for messages. */
interface Sent {
  readonly table: string | undefined;
  readonly answer: Promise<Answer>;
}

/** What one statement came to. */
type Settled = { readonly table: string | undefined } & (
  | { readonly answer: Answer; readonly error: null }
  | { readonly answer: null; readonly error: unknown }
);

export interface ApplyContext {
  readonly delivery: string;
  readonly tables: HelperTables;
  readonly statements: (target: TableName, schema: TableSchema) => TableStatements;
}

/** `unknown`: the answer to COMMIT was lost; whether the unit is applied is in the stored offsets only. */
export type AttemptOutcome = ApplyOutcome | { readonly kind: "unknown"; readonly rereads: readonly RereadRequest[] };

/**
 * One transaction: offsets first, which fences everybody else, then the rows, all sent without waiting; COMMIT only
 * after every answer has been looked at. Throws `retry: "timed"` errors with nothing applied.
 */
export async function attemptUnit(
  session: PipelinedSession,
  context: ApplyContext,
  unit: ApplyUnit,
): Promise<AttemptOutcome> {
  failpoint("sink.before_first_update");
  const begin = send(session, { text: "BEGIN ISOLATION LEVEL READ COMMITTED" });
  // Before any row: from here until COMMIT no other owner can pass, and a fenced one finds no row (I2, I5).
  const partitions = unit.partitions.toSorted(byPartition);
  const fences = partitions.map((partition) => send(session, fence(context, partition)));
  failpoint("sink.after_first_update");
  const changes: Sent[] = [];
  try {
    // The server works on one while the next is made.
    for (const { table, statement } of changeStatements(context, unit)) changes.push(send(session, statement, table));
  } catch (error) {
    // A row that cannot be read, or a bug, must not leave the transaction open behind it.
    session.destroy();
    await settle([begin, ...fences, ...changes]);
    throw error;
  }
  const fenced = await settle([begin, ...fences]);
  const changed = await settle(changes);

  const failedFence = fenced.find(({ error }) => error !== null);
  if (failedFence !== undefined) return refuse(session, failedFence, "transient");
  const stale = partitions.filter((_, index) => fenced[index + 1]?.answer?.rowCount !== 1);
  if (stale.length > 0) {
    await rollBack(session);
    return { kind: "stale", partitions: stale.map(({ topic, partition }) => ({ topic, partition })) };
  }
  const failed = changed.find(({ error }) => error !== null);
  if (failed !== undefined) return refuse(session, failed, refusalScope(failed.error));

  const rereads = changed.flatMap(({ answer }) => (answer === null ? [] : requestsIn(answer)));
  failpoint("sink.before_commit");
  const outcome = await commit(session, rereads);
  failpoint("sink.after_commit");
  return outcome;
}

function send(session: PipelinedSession, statement: Statement | BoundStatement, table?: string): Sent {
  return { table, answer: session.send(statement) };
}

async function settle(statements: readonly Sent[]): Promise<readonly Settled[]> {
  const results = await Promise.allSettled(statements.map(async ({ answer }) => answer));
  return results.map((result, index): Settled => {
    const table = statements[index]?.table;
    if (result.status === "fulfilled") return { table, answer: result.value, error: null };
    return { table, answer: null, error: result.reason };
  });
}

async function rollBack(session: PipelinedSession): Promise<void> {
  if (session.usable) await session.send({ text: "ROLLBACK" }).catch(() => session.destroy());
}

async function refuse(
  session: PipelinedSession,
  failed: { readonly table: string | undefined; readonly error: unknown },
  scope: ReturnType<typeof refusalScope>,
): Promise<ApplyOutcome> {
  await rollBack(session);
  const error = targetError(failed.error, failed.table);
  if (scope === "transient") throw error;
  return { kind: "rejected", scope, error };
}

/**
 * Only a refusal by a constraint or as a serialization victim says for certain that nothing was committed; every other
 * failure (connection lost, server shut down in the middle) says nothing.
 */
const refusedCommit = /^(22|23|P0|40001$|40P01$|40002$)/;

async function commit(session: PipelinedSession, rereads: readonly RereadRequest[]): Promise<AttemptOutcome> {
  try {
    const { command } = await session.send({ text: "COMMIT" });
    invariant(command === "COMMIT", "COMMIT of a transaction without an error commits");
    return { kind: "applied", rereads };
  } catch (error) {
    const state = sqlStateOf(error);
    if (state === null || !refusedCommit.test(state)) return { kind: "unknown", rereads };
    return refuse(session, { table: undefined, error }, refusalScope(error));
  }
}

function fence({ delivery, tables }: ApplyContext, progress: PartitionProgress): Statement {
  return {
    name: "datatrace_fence",
    text: `UPDATE ${tables.offsets} SET next_offset = $6
      WHERE delivery = $1 AND topic = $2 AND partition = $3 AND epoch = $4 AND next_offset = $5`,
    values: [
      delivery,
      progress.topic,
      String(progress.partition),
      String(progress.epoch),
      String(progress.loaded),
      String(progress.next),
    ],
  };
}

/** Deletes before upserts: a value that must be unique may move from a deleted row to a new one. */
function* changeStatements(
  context: ApplyContext,
  unit: ApplyUnit,
): Iterable<{ readonly table?: string; readonly statement: Statement | BoundStatement }> {
  const { delivery, tables } = context;
  if (unit.rereadsDone.length > 0) yield { statement: forget(delivery, tables, unit.rereadsDone) };
  const writers = unit.tables.map((changes) => ({
    changes,
    table: tableId(changes.target),
    writer: context.statements(changes.target, changes.schema),
  }));
  for (const { changes, table, writer } of writers) {
    for (const statement of writer.deletes(changes.deletes)) yield { table, statement };
  }
  for (const { changes, table, writer } of writers) {
    for (const statement of writer.upserts(changes.upserts)) yield { table, statement };
    for (const statement of writer.partials(changes.partials, tables, delivery)) yield { table, statement };
  }
  if (unit.quarantine.length > 0) yield { statement: quarantine(delivery, tables, unit.quarantine) };
}

function forget(delivery: string, tables: HelperTables, requests: readonly RereadRequest[]): Statement {
  return {
    text: `DELETE FROM ${tables.rereads} AS r USING unnest($2::text[], $3::bytea[]) AS x(topic, key)
      WHERE r.delivery = $1 AND r.topic = x.topic AND r.key = x.key`,
    values: [
      delivery,
      arrayLiteral(requests.map(({ topic }) => topic)),
      arrayLiteral(requests.map(({ key }) => bytesText(key))),
    ],
  };
}

/** PostgreSQL's text has no U+0000 and no half of a surrogate pair; these two are for reading, `key` is what counts. */
function legible(text: string): string {
  return text.toWellFormed().replaceAll("\u0000", "\uFFFD");
}

function quarantine(delivery: string, tables: HelperTables, entries: readonly QuarantineEntry[]): Statement {
  const columns: readonly ((entry: QuarantineEntry) => string | null)[] = [
    ({ topic }) => topic,
    ({ partition }) => String(partition),
    ({ offset }) => String(offset),
    ({ target }) => target.schema,
    ({ target }) => target.table,
    ({ key }) => bytesText(key),
    ({ keyText }) => legible(keyText),
    ({ value }) => (value === null ? null : bytesText(value)),
    ({ headers }) => JSON.stringify(headers),
    ({ code }) => code,
    ({ detail }) => legible(detail),
    ({ state }) => state,
  ];
  return {
    text: `INSERT INTO ${tables.quarantine} (delivery, topic, partition, record_offset, target_schema, target_table,
        key, key_text, value, headers, code, detail, state)
      SELECT $1, x.* FROM unnest($2::text[], $3::int[], $4::bigint[], $5::text[], $6::text[], $7::bytea[], $8::text[],
        $9::bytea[], $10::json[], $11::text[], $12::text[], $13::text[]) AS x`,
    values: [delivery, ...columns.map((column) => arrayLiteral(entries.map(column)))],
  };
}

/** The (topic, key) rows that a partial update answers with. */
function requestsIn({ rows }: Answer): readonly RereadRequest[] {
  return rows.map(([topic, key]) => ({ topic: topic ?? "", key: Buffer.from(key ?? "", "hex") }));
}
