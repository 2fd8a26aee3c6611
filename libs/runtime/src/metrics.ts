import { collectDefaultMetrics, Gauge, Registry } from "prom-client";
import { createInstruments } from "./instruments.ts";
import type { Instruments } from "./instruments.ts";
import { PartMetrics } from "./part-metrics.ts";
import type { PartLabels } from "./part-metrics.ts";

/** The metrics of one process, in the text format of Prometheus. */
export class Metrics {
  readonly #registry = new Registry();
  readonly #instruments: Instruments;
  readonly #logSize: Gauge;
  readonly #ready: Gauge;
  readonly #manyPipelines: boolean;
  #collect: () => Promise<void> = () => Promise.resolve();

  /** `manyPipelines`: parts of different pipelines may have the same names, so each has its pipeline as a label. */
  constructor({ manyPipelines }: { readonly manyPipelines: boolean } = { manyPipelines: false }) {
    this.#manyPipelines = manyPipelines;
    collectDefaultMetrics({ register: this.#registry });
    this.#instruments = createInstruments(this.#registry);
    this.#logSize = new Gauge({
      name: "datatrace_log_bytes",
      help: "Size of the embedded log: what is used, and the limit.",
      labelNames: ["kind"],
      registers: [this.#registry],
    });
    this.#ready = new Gauge({
      name: "datatrace_ready",
      help: "1 when every part runs, as /health/ready answers.",
      registers: [this.#registry],
    });
  }

  get contentType(): string {
    return this.#registry.contentType;
  }

  /** What is called before each scrape, for values that are read rather than counted. An error leaves them as they were. */
  set collect(collect: () => Promise<void>) {
    this.#collect = collect;
  }

  async text(): Promise<string> {
    await this.#collect();
    return await this.#registry.metrics();
  }

  part(labels: PartLabels): PartMetrics {
    return new PartMetrics(this.#instruments, labels, this.#manyPipelines);
  }

  logSize(usedBytes: number, limitBytes: number): void {
    this.#logSize.set({ kind: "used" }, usedBytes);
    this.#logSize.set({ kind: "limit" }, limitBytes);
  }

  ready(ready: boolean): void {
    this.#ready.set(ready ? 1 : 0);
  }
}
