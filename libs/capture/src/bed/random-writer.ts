import type { Client } from "pg";
import type { SeededRandom } from "../model/seeded-random.ts";
import type { CommittedChange } from "./event-history.ts";

export const writtenTable = `
  CREATE SEQUENCE chg;
  CREATE TABLE t (id int PRIMARY KEY, chg bigint NOT NULL, small int, large text);
  ALTER TABLE t ALTER large SET STORAGE EXTERNAL;`;

/** Writes random transactions into `t` until the signal, some of them with a commit that is held. */
export class RandomWriter {
  readonly committed: CommittedChange[] = [];
  readonly #client: Client;
  readonly #random: SeededRandom;
  readonly #keys: number;

  constructor(client: Client, random: SeededRandom, keys: number) {
    this.#client = client;
    this.#random = random;
    this.#keys = keys;
  }

  async run(signal: AbortSignal): Promise<void> {
    while (!signal.aborted) {
      const changes: CommittedChange[] = [];
      try {
        await this.#client.query("BEGIN");
        if (this.#random.chance(0.3)) await this.#client.query("SET LOCAL synchronous_commit = on");
        for (let n = this.#random.below(5); n >= 0; n -= 1) changes.push(...(await this.#change()));
        if (this.#random.chance(0.1)) await this.#client.query("ROLLBACK");
        else {
          await this.#client.query("COMMIT");
          this.committed.push(...changes);
        }
      } catch (error) {
        // Deadlocks and keys that somebody else has taken meanwhile: nothing of it was committed.
        await this.#client.query("ROLLBACK");
        if (!(error instanceof Error && "code" in error && /^(?:40P01|23505)$/.test(String(error.code)))) throw error;
      }
    }
  }

  async #change(): Promise<readonly CommittedChange[]> {
    const random = this.#random;
    const id = 1 + random.below(this.#keys);
    const dice = random.next();
    if (dice < 0.15) {
      const { rowCount } = await this.#client.query("DELETE FROM t WHERE id = $1", [id]);
      return rowCount === 1 ? [`d id=${id}`] : [];
    }
    if (dice < 0.35) {
      const to = 1 + random.below(this.#keys);
      if (to === id) return [];
      const moved = await this.#query("UPDATE t SET id = $2, chg = nextval('chg') WHERE id = $1 RETURNING chg", id, to);
      return moved === null ? [] : [`d id=${id}`, `c id=${to} ${moved}`];
    }
    if (dice < 0.65) {
      const small = random.below(1000);
      const updated = await this.#query(
        "UPDATE t SET small = $2, chg = nextval('chg') WHERE id = $1 RETURNING chg",
        id,
        small,
      );
      return updated === null ? [] : [`u id=${id} ${updated}`];
    }
    if (dice < 0.8) {
      const large = String(random.next()).repeat(200);
      const updated = await this.#query(
        "UPDATE t SET large = $2, chg = nextval('chg') WHERE id = $1 RETURNING chg",
        id,
        large,
      );
      return updated === null ? [] : [`u id=${id} ${updated}`];
    }
    const inserted = await this.#query(
      "INSERT INTO t VALUES ($1, nextval('chg'), 0, $2) ON CONFLICT DO NOTHING RETURNING chg",
      id,
      random.chance(0.2) ? null : String(random.next()).repeat(200),
    );
    return inserted === null ? [] : [`c id=${id} ${inserted}`];
  }

  async #query(text: string, ...values: readonly unknown[]): Promise<number | null> {
    const { rows } = await this.#client.query<{ chg: string }>(text, [...values]);
    const [row] = rows;
    return row === undefined ? null : Number(row.chg);
  }
}
