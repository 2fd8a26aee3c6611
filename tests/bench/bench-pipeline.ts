import { writeFile } from "node:fs/promises";
import { join } from "node:path";
import { dataTopic } from "@datatrace/core";
import { openSqliteEventLog } from "@datatrace/event-log-sqlite";
import type { SqliteEventLog } from "@datatrace/event-log-sqlite";
import { waitFor } from "@datatrace/testkit";
import { Client } from "pg";
import { DataTraceProcess } from "../workload/datatrace-process.ts";
import { benchSchema } from "./bench-table.ts";
import { usageOf } from "./process-usage.ts";
import type { ProcessUsage } from "./process-usage.ts";

export const partitions = 3;
/** What the pipeline file leaves at its default. */
export const batchRows = 1_000;

const waitDeadlineMs = 600_000;

export interface BenchPipelineOptions {
  readonly folder: string;
  readonly name: string;
  readonly table: string;
  readonly sourceUrl: string;
  readonly targetUrl: string;
  /** Folder for CPU profiles, or null. */
  readonly profile: string | null;
}

/** A run of one part, and what it used. */
export interface Run extends AsyncDisposable {
  readonly usage: () => ProcessUsage;
  /** @throws Error with its last lines when it has ended by itself. */
  readonly check: () => void;
}

/** One table's pipeline, run as the command line's processes, and watched through its log and its target. */
export class BenchPipeline implements AsyncDisposable {
  readonly #options: BenchPipelineOptions;
  readonly #file: string;
  readonly #log: SqliteEventLog;
  readonly #topic: string;
  /** For looking at the target: one session, because opening one costs the server more than the look. */
  #target: Client | null = null;
  #runs = 0;

  private constructor(options: BenchPipelineOptions, file: string, log: SqliteEventLog) {
    this.#options = options;
    this.#file = file;
    this.#log = log;
    this.#topic = dataTopic(options.name, { schema: benchSchema, table: options.table });
  }

  static async open(options: BenchPipelineOptions): Promise<BenchPipeline> {
    const file = join(options.folder, `${options.name}.yaml`);
    await writeFile(
      file,
      `name: ${options.name}
log: { directory: ${options.name}-log }
sources:
  origin: { type: postgres, url: "${options.sourceUrl}" }
targets:
  copy: { type: postgres, url: "${options.targetUrl}" }
tasks:
  all:
    from: origin
    to: [copy]
    objects:
      - table: ${benchSchema}.${options.table}
    sync: { partitions: ${partitions}, batch_size: ${batchRows} }
`,
    );
    const log = await openSqliteEventLog({ directory: join(options.folder, `${options.name}-log`) });
    return new BenchPipeline(options, file, log);
  }

  /** Starts the part; disposing of it sends SIGTERM and waits. */
  start(part: "capture" | "sink" | "standalone"): Run {
    const { profile, name } = this.#options;
    const process = new DataTraceProcess({
      args: ["run", this.#file, "--json", "--port", "0", ...(part === "standalone" ? [] : ["--only", part])],
      // A file per thread: the log has one of its own.
      nodeArgs:
        profile === null ? [] : ["--cpu-prof", `--cpu-prof-dir=${join(profile, `${name}-${part}-${++this.#runs}`)}`],
    });
    return {
      usage: () => usageOf(process.pid),
      check: () => {
        if (process.end === null) return;
        throw new Error(`${part} ended with ${JSON.stringify(process.end)}:\n${process.lines.slice(-10).join("\n")}`);
      },
      [Symbol.asyncDispose]: async () => {
        await process.terminate(15_000);
      },
    };
  }

  /** Records in the table's topic. */
  async logged(): Promise<number> {
    const topic = await this.#log.topic(this.#topic);
    let records = 0n;
    for (let partition = 0; partition < (topic?.partitions ?? 0); partition += 1) {
      records += (await this.#log.bounds({ topic: this.#topic, partition })).end;
    }
    return Number(records);
  }

  /** Records of the table's topic that the target has. */
  async applied(): Promise<number> {
    this.#target ??= await this.#connect();
    try {
      const result = await this.#target.query<{ n: string }>(
        "SELECT coalesce(sum(next_offset), 0) AS n FROM datatrace._datatrace_offsets WHERE topic = $1",
        [this.#topic],
      );
      return Number(result.rows[0]?.n);
    } catch (error) {
      if ((error as { code?: string }).code === "42P01") return 0;
      throw error;
    }
  }

  async #connect(): Promise<Client> {
    const client = new Client({ connectionString: this.#options.targetUrl });
    // When a bench throws, the server ends before this does; the first error is the one to see.
    client.on("error", () => undefined);
    await client.connect();
    return client;
  }

  /** Seconds from the first record beyond `from` until there are `to`. Polls every 20 ms: that is its error. */
  async secondsUntil(read: () => Promise<number>, from: number, to: number, run: Run): Promise<number> {
    const watch = { deadlineMs: waitDeadlineMs, intervalMs: 20 };
    await waitFor(
      async () => {
        run.check();
        return (await read()) > from;
      },
      { ...watch, what: "the first record" },
    );
    const begunMs = performance.now();
    await waitFor(
      async () => {
        run.check();
        return (await read()) >= to;
      },
      { ...watch, what: `${to} records` },
    );
    return (performance.now() - begunMs) / 1_000;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#target?.end();
    await this.#log[Symbol.asyncDispose]();
  }
}
