import {
  type ErrorCode,
  type Logger,
  parseRereadMessageKey,
  positionTopic,
  rereadMessageKey,
  rereadMessageValue,
  rereadsTopic,
} from "@datatrace/core";
import type { CaptureMode } from "../capture-options.ts";
import { type Capture, openCapture } from "../capture.ts";
import { Interleaving } from "./interleaving.ts";
import { checkTable, firstEntry, openRequests, storedEntry } from "./log-check.ts";
import { ModelDatabase, ModelTable, type ModelTransaction } from "./model-database.ts";
import { ModelLog } from "./model-log.ts";
import { type ModelSlot, ModelSource } from "./model-source.ts";
import { SeededRandom } from "./seeded-random.ts";

export interface ModelRunOptions {
  readonly mode: CaptureMode;
  /** Steps in which the database changes. */
  readonly actions: number;
  readonly crashes: number;
  /** Chance of a lost connection per operation of the source. */
  readonly sourceFailures: number;
  readonly logFailures: number;
  /** Chance that a commit is held back from being visible. */
  readonly held: number;
}

export interface ModelReport {
  /** What is wrong, in words: empty is the only pass. */
  readonly wrong: readonly string[];
  readonly crashes: number;
  readonly reads: number;
}

class Crash extends Error {}

const prefix = "model";
const capture = "model";
const keys = 24;
const failpoints = Symbol.for("datatrace.failpoints");
const hooks = globalThis as { [failpoints]?: ((name: string) => void) | undefined };
const logFailureCodes: readonly ErrorCode[] = ["log.full", "log.locked", "log.commit_unknown"];

export const silentLogger: Logger = {
  debug: () => undefined,
  info: () => undefined,
  warn: () => undefined,
  error: () => undefined,
  with: () => silentLogger,
};

/** One schedule: writers, chunks, visibility, crashes and restarts as the seed has them, then a comparison. */
export async function runModel(seed: number, options: ModelRunOptions): Promise<ModelReport> {
  const run = new ModelRun(seed, options);
  const before = hooks[failpoints];
  hooks[failpoints] = (name) => run.failpoint(name);
  try {
    return await run.run();
  } finally {
    hooks[failpoints] = before;
  }
}

class ModelRun {
  readonly #options: ModelRunOptions;
  readonly #random: SeededRandom;
  readonly #interleaving: Interleaving;
  readonly #database = new ModelDatabase();
  readonly #slot: ModelSlot = { acknowledged: null };
  readonly #log: ModelLog;
  readonly #wrong: string[] = [];
  readonly #stop = new AbortController();
  #capture: Capture | null = null;
  #running: Promise<void> = Promise.resolve();
  #crashes = 0;
  #crashing: boolean;

  constructor(seed: number, options: ModelRunOptions) {
    this.#options = options;
    this.#random = new SeededRandom(seed);
    this.#interleaving = new Interleaving(this.#random);
    this.#log = new ModelLog(this.#interleaving, this.#random, { codes: logFailureCodes, chance: options.logFailures });
    this.#crashing = options.crashes > 0;
  }

  failpoint(name: string): void {
    if (!this.#crashing || this.#crashes >= this.#options.crashes || !this.#random.chance(0.05)) return;
    this.#crashes += 1;
    throw new Crash(name);
  }

  async run(): Promise<ModelReport> {
    for (const name of ["one", "two"]) this.#fill(new ModelTable(name));
    for (let n = 0; n < 30; n += 1) this.#act();
    this.#start();
    for (let n = 0; n < this.#options.actions; n += 1) await this.#turn();
    this.#crashing = false;
    for (const tx of this.#database.unfinished) {
      if (tx.state === "open") this.#database.commit(tx);
      this.#database.makeVisible(tx);
    }
    await this.#settle();
    await this.#stopped();
    const first = firstEntry(this.#log, positionTopic(capture));
    let reads = 0;
    for (const { table, error } of this.#capture?.status().tables ?? []) {
      if (error !== null) this.#wrong.push(`${table} is parked: ${error.code}`);
    }
    for (const table of this.#database.tables) {
      this.#wrong.push(...(await checkTable(table, this.#database, this.#log, prefix, first)));
      reads += this.#capture?.status().tables.find((each) => each.table === table.id)?.rowsRead ?? 0;
    }
    return { wrong: this.#wrong, crashes: this.#crashes, reads };
  }

  /** Everything that was committed is in the log, or it is said what is not. */
  async #settle(): Promise<void> {
    const caughtUp = this.#watched(this.#caughtUp());
    const deadline = performance.now() + 20_000;
    while ((!caughtUp.done || openRequests(this.#log) > 0) && this.#wrong.length === 0) {
      if (performance.now() > deadline) this.#fail(new Error("it never caught up"));
      await this.#breathe();
    }
  }

  #watched(promise: Promise<unknown>): { done: boolean } {
    const watched = { done: false };
    void promise.finally(() => (watched.done = true));
    return watched;
  }

  async #caughtUp(): Promise<void> {
    for (;;) {
      try {
        await this.#capture?.caughtUp(this.#stop.signal);
        return;
      } catch (error) {
        if (!(error instanceof Crash)) {
          this.#fail(error);
          return;
        }
        // Its successor is about to start.
        await this.#interleaving.step();
      }
    }
  }

  async #stopped(): Promise<void> {
    this.#stop.abort(new Error("the run is over"));
    const stopped = this.#watched(this.#running);
    while (!stopped.done) await this.#breathe();
  }

  #start(): void {
    const interleaving = this.#interleaving;
    const source = new ModelSource({
      database: this.#database,
      slot: this.#slot,
      random: this.#random,
      interleaving,
      failures: this.#options.sourceFailures,
      acknowledged: (entry) => {
        const stored = storedEntry(this.#log, positionTopic(capture));
        if (entry > stored) this.#wrong.push(`I1: entry ${entry} is acknowledged, ${stored} is stored`);
      },
    });
    this.#capture = openCapture({
      capture,
      prefix,
      source,
      log: this.#log,
      registry: this.#log,
      tables: { select: (all) => all, partitions: () => 2 },
      mode: this.#options.mode,
      chunkRows: 5,
      parallelChunks: 3,
      batch: { maxRows: 10 },
      timing: { tablesMs: 3, visibilityMs: 1, heartbeatMs: 5, lagMs: 5, retryFirstMs: 1, retryMaxMs: 2 },
      logger: silentLogger,
      signal: this.#stop.signal,
    });
    this.#running = this.#capture.run().catch((error: unknown) => {
      // A process that died leaves the rest to the next one.
      if (error instanceof Crash && !this.#stop.signal.aborted) this.#start();
      else this.#fail(error);
    });
  }

  #fail(error: unknown): void {
    if (!this.#stop.signal.aborted)
      this.#wrong.push(error instanceof Error ? (error.stack ?? error.message) : String(error));
  }

  async #turn(): Promise<void> {
    if (this.#random.chance(0.3)) this.#act();
    for (let n = this.#random.below(4); n > 0; n -= 1) await this.#breathe();
  }

  async #breathe(): Promise<void> {
    this.#interleaving.release();
    await new Promise((resolve) => setImmediate(resolve));
  }

  #fill(table: ModelTable): void {
    const tx = this.#database.begin();
    for (let key = 0; key < keys; key += 1) {
      if (this.#random.chance(0.7)) this.#database.put(tx, table, key, 0, this.#large());
    }
    this.#database.commit(tx);
    this.#database.makeVisible(tx);
    this.#database.tables.push(table);
  }

  /** One step of the database's own life. */
  #act(): void {
    const random = this.#random;
    const open = this.#database.unfinished.filter((tx) => tx.state === "open");
    const held = this.#database.unfinished.filter((tx) => tx.state === "committed");
    const dice = random.next();
    if (dice < 0.5 && open.length > 0) this.#change(random.pick(open));
    else if (dice < 0.7 && open.length > 0) this.#end(random.pick(open));
    else if (dice < 0.8 && held.length > 0) this.#database.makeVisible(random.pick(held));
    else if (dice < 0.83) this.#evolve();
    else if (dice < 0.86) this.#request();
    else if (open.length < 4) {
      const tx = this.#database.begin();
      for (let n = random.below(4); n >= 0; n -= 1) this.#change(tx);
    }
  }

  #end(tx: ModelTransaction): void {
    if (this.#random.chance(0.1)) this.#database.rollBack(tx);
    else {
      this.#database.commit(tx);
      if (!this.#random.chance(this.#options.held)) this.#database.makeVisible(tx);
    }
  }

  #change(tx: ModelTransaction): void {
    const random = this.#random;
    const table = random.pick(this.#database.tables);
    const key = random.below(keys);
    const dice = random.next();
    if (dice < 0.15) this.#database.remove(tx, table, key);
    else if (dice < 0.3) this.#database.move(tx, table, key, random.below(keys));
    else this.#database.put(tx, table, key, random.below(1000), random.chance(0.4) ? this.#large() : null);
  }

  #evolve(): void {
    const random = this.#random;
    const { tables } = this.#database;
    if (tables.length < 3 && random.chance(0.5)) {
      const table = new ModelTable("three");
      this.#fill(table);
      const tx = this.#database.begin();
      this.#database.put(tx, table, random.below(keys), 1, this.#large());
      return;
    }
    const table = random.pick(tables);
    if (table.defaults.length < 2) this.#database.addColumn(table, random.chance(0.7) ? random.below(100) : null);
  }

  /** A sink asks for a row that the log has an event of. */
  #request(): void {
    const topics = this.#database.tables.map((table) => `${prefix}.${table.id}`);
    const topic = this.#random.pick(topics);
    const [records = []] = this.#log.records(topic);
    if (records.length === 0 || this.#log.records(rereadsTopic).length === 0) return;
    const { key } = this.#random.pick(records);
    if (key === null) return;
    const request = rereadMessageKey({ topic, key });
    if (parseRereadMessageKey(request) === null) throw new Error("a request that cannot be read");
    this.#log.put({ topic: rereadsTopic, partition: 0, key: request, value: rereadMessageValue() });
  }

  #large(): string | null {
    return this.#random.chance(0.8) ? `large ${this.#random.below(1_000_000)}` : null;
  }
}
