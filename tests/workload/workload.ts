import { setTimeout as delay } from "node:timers/promises";
import { Client, DatabaseError } from "pg";
import { copyIn } from "./copy-in.ts";
import type { Random } from "./random.ts";
import { bulkWrite, lastWrite, smallWrite } from "./statements.ts";
import type { Statement } from "./statements.ts";

export interface WorkloadOptions {
  readonly url: string;
  readonly schema: string;
  readonly random: Random;
  readonly clients: number;
  /** Of all clients together; slow and large transactions make it less. */
  readonly transactionsPerSecond: number;
}

export interface WorkloadCounts {
  readonly committed: number;
  readonly rolledBack: number;
  /** The connection was lost before COMMIT was answered: the ledger knows. */
  readonly unknown: number;
  readonly columnsAdded: number;
}

/** Each default is a case of its own: no event at all, a constant kept in the catalog, a rewrite of the whole table. */
const columnKinds = ["text", "integer DEFAULT 7", "double precision DEFAULT random()"] as const;

/**
 * Random transactions by several clients at once until stopped: small, large and held open, rolled back, with
 * savepoints, by COPY, with ADD COLUMN now and then. Survives the server's death: it connects again and goes on.
 */
export class Workload {
  readonly #options: WorkloadOptions;
  readonly #stop = new AbortController();
  readonly #added: string[] = [];
  readonly #counts = { committed: 0, rolledBack: 0, unknown: 0 };
  #running: Promise<unknown> | null = null;
  #early: boolean;
  #resumed: PromiseWithResolvers<void> | null = null;

  /** `early`: transactions are marked in the ledger as begun before the capture's stream was known to exist. */
  constructor(options: WorkloadOptions, early: boolean) {
    this.#options = options;
    this.#early = early;
  }

  get counts(): WorkloadCounts {
    return { ...this.#counts, columnsAdded: this.#added.length };
  }

  /** From now on the stream exists: whatever begins after this call must be in the log. */
  streamExists(): void {
    this.#early = false;
  }

  /** No transaction begins until `resume`; those that are open go on to their end. */
  pause(): void {
    this.#resumed ??= Promise.withResolvers<void>();
  }

  resume(): void {
    this.#resumed?.resolve();
    this.#resumed = null;
  }

  start(): void {
    const clients = Array.from({ length: this.#options.clients }, (_, index) =>
      this.#client(this.#options.random.fork(index), index === 0),
    );
    this.#running = Promise.all(clients);
    // A failure is reported by `stop`; without this it would end the process before.
    this.#running.catch(() => undefined);
  }

  /**
   * Lets the open transactions end, and writes once more.
   * @throws what ended a client: a statement that the server refuses is a bug here.
   */
  async stop(): Promise<void> {
    this.#stop.abort();
    this.resume();
    if (this.#running === null) return;
    await this.#running;
    this.#running = null;
    await this.#writeLast();
  }

  async #writeLast(): Promise<void> {
    const client = await this.#connect();
    // A server that is gone is what the round has failed of.
    if (client === null) return;
    await run(client, lastWrite());
    await client.end();
  }

  async #client(random: Random, mayAlter: boolean): Promise<void> {
    const pauseMs = (1_000 * this.#options.clients) / this.#options.transactionsPerSecond;
    while (!this.#stop.signal.aborted) {
      const client = await this.#connect();
      if (client === null) continue;
      try {
        while (!this.#stop.signal.aborted) {
          await this.#resumed?.promise;
          const begunMs = performance.now();
          if (mayAlter && this.#counts.committed > 250 * (this.#added.length + 1))
            await this.#addColumn(client, random);
          else await this.#transaction(client, random);
          await delay(Math.max(0, pauseMs - (performance.now() - begunMs)));
        }
      } catch (error) {
        if (!isLost(error)) throw error;
      } finally {
        await client.end().catch(() => undefined);
      }
    }
  }

  async #connect(): Promise<Client | null> {
    const client = new Client({
      connectionString: this.#options.url,
      options: `-c search_path=${this.#options.schema} -c deadlock_timeout=50ms -c lock_timeout=5s -c workload.early=false`,
      application_name: "workload",
    });
    client.on("error", () => undefined);
    try {
      await client.connect();
      return client;
    } catch (error) {
      if (!isLost(error)) throw error;
      await delay(20);
      return null;
    }
  }

  async #transaction(client: Client, random: Random): Promise<void> {
    const kind = random.weighted({ small: 70, held: 6, bulk: 2, copy: 2, savepoints: 12, rollback: 8 });
    try {
      await client.query("BEGIN");
      await client.query("SELECT set_config('workload.early', $1, true)", [String(this.#early)]);
      switch (kind) {
        case "small":
        case "rollback":
          await this.#small(client, random);
          break;
        case "held":
          // Open while others commit, so that commits interleave in the server's log.
          await this.#small(client, random);
          await delay(random.int(20, 400));
          await this.#small(client, random);
          break;
        case "bulk":
          await run(client, bulkWrite(random));
          await this.#small(client, random);
          break;
        case "copy":
          await copyPairs(client, random);
          break;
        case "savepoints":
          await this.#savepoints(client, random);
          break;
      }
    } catch (error) {
      if (!isRefused(error)) throw error;
      await this.#rollback(client);
      return;
    }
    if (kind === "rollback") await this.#rollback(client);
    else await this.#commit(client);
  }

  async #small(client: Client, random: Random): Promise<void> {
    for (let count = random.int(1, 6); count > 0; count -= 1) await run(client, smallWrite(random, this.#added));
  }

  async #savepoints(client: Client, random: Random): Promise<void> {
    for (let count = random.int(1, 4); count > 0; count -= 1) {
      await client.query("SAVEPOINT s");
      try {
        await this.#small(client, random);
        await client.query(random.chance(0.4) ? "ROLLBACK TO s" : "RELEASE s");
      } catch (error) {
        if (!isRefused(error)) throw error;
        await client.query("ROLLBACK TO s");
      }
    }
    await this.#small(client, random);
  }

  async #addColumn(client: Client, random: Random): Promise<void> {
    const name = `added_${this.#added.length}`;
    const kind = columnKinds[this.#added.length % columnKinds.length];
    try {
      await client.query("BEGIN");
      await client.query("SELECT set_config('workload.early', $1, true)", [String(this.#early)]);
      // Rows of both shapes in one transaction.
      if (random.chance(0.5)) await run(client, smallWrite(random, this.#added));
      await client.query(`ALTER TABLE evolving ADD COLUMN IF NOT EXISTS ${name} ${kind}`);
      await this.#small(client, random);
    } catch (error) {
      if (!isRefused(error)) throw error;
      await this.#rollback(client);
      return;
    }
    await this.#commit(client);
    this.#added.push(name);
  }

  async #commit(client: Client): Promise<void> {
    try {
      await client.query("COMMIT");
      this.#counts.committed += 1;
    } catch (error) {
      this.#counts.unknown += 1;
      throw error;
    }
  }

  async #rollback(client: Client): Promise<void> {
    await client.query("ROLLBACK");
    this.#counts.rolledBack += 1;
  }
}

async function run(client: Client, statement: Statement): Promise<void> {
  await client.query(statement.text, [...statement.values]);
}

/** Many rows in one WAL record. Keys of their own range, never used before in this schema. */
async function copyPairs(client: Client, random: Random): Promise<void> {
  const claimed = await client.query<{ first: string }>("SELECT nextval('chg') AS first");
  const first = Number(claimed.rows[0]?.first);
  const rows = Array.from(
    { length: random.int(20, 200) },
    (_, index) => `copied ${first}\t${index}\tnote ${index}\t${index / 3}\n`,
  );
  await copyIn(client, "COPY pair (realm, number, note, score) FROM STDIN", rows.join(""));
  await client.query(
    "INSERT INTO ledger (tbl, op, key, chg) SELECT 'pair', 'i', jsonb_build_array(realm, number::text), chg FROM pair WHERE realm = $1",
    [`copied ${first}`],
  );
}

/** Errors that the workload itself provokes: unique violation, deadlock, lock timeout, a column added meanwhile. */
function isRefused(error: unknown): boolean {
  return error instanceof DatabaseError && ["23505", "40P01", "55P03", "42703"].includes(error.code ?? "");
}

/** The server is gone, going, or not there yet. Anything else is a bug of the workload. */
function isLost(error: unknown): boolean {
  if (error instanceof DatabaseError) return /^(57P|08|25P03)/.test(error.code ?? "");
  if (!(error instanceof Error)) return false;
  return (
    "code" in error ||
    /^Connection terminated|^Client has encountered a connection error|not queryable/.test(error.message)
  );
}
