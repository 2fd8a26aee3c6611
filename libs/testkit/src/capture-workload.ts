import type { CaptureBed, UserSession } from "./capture-harness.ts";
import type { SeenTransaction } from "./capture-reader.ts";

/** The tables of the random workload. `id` is the key of both. */
export const workloadTables = ["items", "orders"] as const;

export async function createWorkloadTables(session: UserSession): Promise<void> {
  for (const table of workloadTables) {
    await session.run(`CREATE TABLE ${table} (id integer PRIMARY KEY, name varchar(100), amount integer NOT NULL)`);
  }
}

interface Item {
  readonly name: string | null;
  readonly amount: number;
}

type State = Record<(typeof workloadTables)[number], Map<number, Item>>;

/** One writer: it owns the ids that leave the same rest, so that writers never wait for each other. */
interface Writer {
  readonly session: UserSession;
  readonly rest: number;
  open: { readonly lines: string[]; readonly state: State; savepoint: Saved | null } | null;
}

interface Saved {
  readonly lines: readonly string[];
  readonly state: State;
}

const writers = 3;
/** Ids of one writer. */
const idsEach = 12;

/**
 * Random transactions of several sessions at once, interleaved by one seeded order of single statements: inserts,
 * updates, key changes, deletes, savepoints, roll-backs. Keeps a ledger of what each committed transaction did, in the
 * order of the commits.
 */
export class CaptureWorkload implements AsyncDisposable {
  readonly #writers: readonly Writer[];
  readonly #random: () => number;
  readonly #committed: State = { items: new Map(), orders: new Map() };
  readonly #ledger: SeenTransaction[] = [];

  private constructor(sessions: readonly UserSession[], seed: number) {
    this.#writers = sessions.map((session, rest) => ({ session, rest, open: null }));
    this.#random = randomNumbers(seed);
  }

  static async start(bed: CaptureBed, seed: number): Promise<CaptureWorkload> {
    const sessions: UserSession[] = [];
    for (let index = 0; index < writers; index += 1) sessions.push(await bed.connect());
    return new CaptureWorkload(sessions, seed);
  }

  /** Committed transactions that changed something, in the order of their commits. */
  get ledger(): readonly SeenTransaction[] {
    return this.#ledger;
  }

  /** Rows that are there now, in key order. */
  rows(table: (typeof workloadTables)[number]): readonly string[] {
    const rows = [...this.#committed[table]].toSorted(([one], [other]) => one - other);
    return rows.map(([id, { name, amount }]) => `${id}|${name}|${amount}`);
  }

  /** This many statements; transactions may be left open. */
  async run(statements: number): Promise<void> {
    for (let count = 0; count < statements; count += 1) {
      const writer = this.#writers[this.#below(writers)];
      if (writer !== undefined) await this.#step(writer);
    }
  }

  /** Ends every open transaction, most of them by commit. */
  async settle(): Promise<void> {
    for (const writer of this.#writers) if (writer.open !== null) await this.#end(writer, this.#below(4) > 0);
  }

  async [Symbol.asyncDispose](): Promise<void> {
    for (const { session } of this.#writers) await session[Symbol.asyncDispose]();
  }

  async #step(writer: Writer): Promise<void> {
    if (writer.open === null) {
      await writer.session.run("BEGIN");
      writer.open = { lines: [], state: this.#copy(writer.rest), savepoint: null };
      return;
    }
    const dice = this.#below(20);
    if (dice < 3) await this.#end(writer, true);
    else if (dice < 4) await this.#end(writer, false);
    else if (dice < 5) await this.#save(writer);
    else if (dice < 6) await this.#back(writer);
    else await this.#change(writer);
  }

  async #change({ session, rest, open }: Writer): Promise<void> {
    if (open === null) return;
    const table = workloadTables[this.#below(workloadTables.length)] ?? "items";
    const rows = open.state[table];
    const id = this.#below(idsEach) * writers + rest;
    const now = rows.get(id);
    const name = this.#below(5) === 0 ? null : `n${this.#below(1000)}`;
    const amount = this.#below(1_000_000) - 500_000;
    const text = name === null ? "NULL" : `'${name}'`;
    if (now === undefined) {
      await session.run(`INSERT INTO ${table} (id, name, amount) VALUES (${id}, ${text}, ${amount})`);
      rows.set(id, { name, amount });
      open.lines.push(`${table} + ${id}|${name}|${amount}`);
      return;
    }
    const free = Array.from({ length: idsEach }, (_, index) => index * writers + rest).find(
      (other) => !rows.has(other),
    );
    const kind = this.#below(10);
    if (kind < 2) {
      await session.run(`DELETE FROM ${table} WHERE id = ${id}`);
      rows.delete(id);
      open.lines.push(`${table} - ${id}`);
    } else if (kind < 4 && free !== undefined) {
      await session.run(`UPDATE ${table} SET id = ${free} WHERE id = ${id}`);
      rows.delete(id);
      rows.set(free, now);
      open.lines.push(`${table} ~ (${id}) ${free}|${now.name}|${now.amount}`);
    } else {
      await session.run(`UPDATE ${table} SET name = ${text}, amount = ${amount} WHERE id = ${id}`);
      rows.set(id, { name, amount });
      open.lines.push(`${table} ~ ${id}|${name}|${amount}`);
    }
  }

  async #save({ session, open }: Writer): Promise<void> {
    if (open === null) return;
    await session.run("SAVEPOINT s");
    open.savepoint = { lines: [...open.lines], state: copyOf(open.state) };
  }

  async #back(writer: Writer): Promise<void> {
    const { session, open } = writer;
    if (open === null || open.savepoint === null) return;
    await session.run("ROLLBACK TO SAVEPOINT s");
    const { lines, state } = open.savepoint;
    writer.open = { lines: [...lines], state: copyOf(state), savepoint: open.savepoint };
  }

  async #end(writer: Writer, commit: boolean): Promise<void> {
    const { session, rest, open } = writer;
    if (open === null) return;
    await session.run(commit ? "COMMIT" : "ROLLBACK");
    writer.open = null;
    if (!commit) return;
    if (open.lines.length > 0) this.#ledger.push(open.lines);
    for (const table of workloadTables) {
      const rows = this.#committed[table];
      for (const id of rows.keys()) if (id % writers === rest) rows.delete(id);
      for (const [id, item] of open.state[table]) rows.set(id, item);
    }
  }

  #copy(rest: number): State {
    const own = (table: keyof State): Map<number, Item> =>
      new Map([...this.#committed[table]].filter(([id]) => id % writers === rest));
    return { items: own("items"), orders: own("orders") };
  }

  #below(limit: number): number {
    return Math.floor(this.#random() * limit);
  }
}

function copyOf(state: State): State {
  return { items: new Map(state.items), orders: new Map(state.orders) };
}

/** Mulberry32: the same seed, the same numbers from 0 to 1. */
export function randomNumbers(seed: number): () => number {
  let state = seed >>> 0;
  return () => {
    state = (state + 0x6d_2b_79_f5) >>> 0;
    let mixed = Math.imul(state ^ (state >>> 15), state | 1);
    mixed ^= mixed + Math.imul(mixed ^ (mixed >>> 7), mixed | 61);
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 2 ** 32;
  };
}
