import { execFile } from "node:child_process";
import { randomUUID } from "node:crypto";
import { join } from "node:path";
import { promisify } from "node:util";
import { openKafkaEventLog } from "@datatrace/event-log-kafka";
import { rounded } from "./result.ts";
import type { BenchResult } from "./result.ts";

const run = promisify(execFile);

type Mode = "adapter" | "kafkajs" | "kafkajs-patched";

interface Run {
  readonly takenMs: number;
  readonly cpuSeconds: number;
  readonly rssMiB: number;
}

export interface KafkaAppendLoad {
  readonly brokers: readonly string[];
  readonly rows: number;
  /** Records of one transaction. */
  readonly batchRows: number;
  readonly recordBytes: number;
  /** Write a CPU profile of each process here. */
  readonly profile: string | null;
}

async function measure(mode: Mode, topic: string, load: KafkaAppendLoad): Promise<Run> {
  const { brokers, rows, batchRows, recordBytes, profile } = load;
  const { stdout } = await run(process.execPath, [
    ...(profile === null ? [] : ["--cpu-prof", "--cpu-prof-dir", join(profile, `kafka-append-${mode}-${batchRows}`)]),
    join(import.meta.dirname, "kafka-append-process.ts"),
    mode,
    brokers.join(","),
    topic,
    ...[rows, batchRows, recordBytes].map(String),
  ]);
  return JSON.parse(stdout) as Run;
}

/**
 * Throughput of the log's appends next to kafkajs' own producer with the same records and transactions, each in a process
 * of its own, twice in turns: the better of two runs counts, because the first finds a broker that is cold.
 */
export async function benchKafkaAppend(load: KafkaAppendLoad): Promise<BenchResult> {
  const topic = `bench-${randomUUID().slice(0, 8)}`;
  {
    await using log = await openKafkaEventLog({ brokers: load.brokers });
    await log.ensureTopic({ name: topic, partitions: 3, cleanup: "delete" });
    await log.ensureTopic({ name: `${topic}.state`, partitions: 1, cleanup: "compact" });
  }
  const modes = ["kafkajs", "kafkajs-patched", "adapter"] as const;
  const best = new Map<Mode, Run>();
  for (let round = 0; round < 2; round += 1) {
    for (const mode of modes) {
      const one = await measure(mode, topic, load);
      const known = best.get(mode);
      if (known === undefined || one.takenMs < known.takenMs) best.set(mode, one);
    }
  }
  {
    await using log = await openKafkaEventLog({ brokers: load.brokers });
    await log.deleteTopics([topic, `${topic}.state`]);
  }
  const rate = (mode: Mode): number => (load.rows * 1_000) / (best.get(mode)?.takenMs ?? Number.POSITIVE_INFINITY);
  const perMillion = (mode: Mode): number => ((best.get(mode)?.cpuSeconds ?? 0) * 1e6) / load.rows;
  return {
    bench: `appends to Kafka, ${load.batchRows} records a transaction`,
    measured: {
      rows: load.rows,
      rows_per_s: rounded(rate("adapter")),
      transactions_per_s: rounded(rate("adapter") / load.batchRows),
      cpu_s_per_million: rounded(perMillion("adapter")),
      rss_mib: rounded(best.get("adapter")?.rssMiB ?? 0),
    },
    raw: {
      kafkajs_rows_per_s: rounded(rate("kafkajs")),
      kafkajs_patched_rows_per_s: rounded(rate("kafkajs-patched")),
      kafkajs_patched_cpu_s_per_million: rounded(perMillion("kafkajs-patched")),
    },
    ratio: rounded(rate("adapter") / rate("kafkajs-patched")),
    mark: 0.8,
    aim: "0.8 of kafkajs alone with its grouping made linear",
  };
}
