import type { Client } from "pg";

/** Commits without a pause until stopped: a counter goes up, and each transaction leaves a row. */
export class LiveLoad {
  readonly #source: Client;
  readonly #running: Promise<void>;
  #stopped = false;

  constructor(source: Client) {
    this.#source = source;
    this.#running = this.#run();
  }

  async stop(): Promise<void> {
    this.#stopped = true;
    await this.#running;
  }

  async #run(): Promise<void> {
    while (!this.#stopped) {
      await this.#source.query(`BEGIN;
        UPDATE counters SET n = n + 1 WHERE id = 1 + (random() * 49)::int;
        INSERT INTO ledger (note) VALUES (repeat('live ', 20));
        COMMIT; SELECT pg_sleep(0.004)`);
    }
  }
}
