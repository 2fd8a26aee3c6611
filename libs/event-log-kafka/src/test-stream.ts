import { DataTraceError } from "@datatrace/core";
import type { EventLog, LogRecord, LogWriter } from "@datatrace/core";

/**
 * Appends numbers as a capture appends changes: each number once in every partition of a topic, together with the
 * position, which alone says where to go on after an append whose outcome is not known.
 */
export class NumberStream {
  readonly #log: EventLog;
  readonly #id: string;
  readonly #topic: string;
  readonly #partitions: number;
  readonly #state: string;
  readonly #stop = new AbortController();
  #acknowledged = -1;
  #reopened = 0;
  #running: Promise<void> | null = null;

  constructor(log: EventLog, id: string, topic: string, partitions: number, state: string) {
    this.#log = log;
    this.#id = id;
    this.#topic = topic;
    this.#partitions = partitions;
    this.#state = state;
  }

  /** The last number whose append has resolved. */
  get acknowledged(): number {
    return this.#acknowledged;
  }

  /** How often the writer had to be opened again. */
  get reopened(): number {
    return this.#reopened;
  }

  start(): void {
    this.#running = this.#run();
  }

  /** The error that has ended it, if one has. */
  async stop(): Promise<void> {
    this.#stop.abort();
    await this.#running;
  }

  async #run(): Promise<void> {
    while (!this.#stop.signal.aborted) {
      try {
        await using writer = await this.#log.openWriter(this.#id);
        await this.#append(writer);
      } catch (error) {
        if (!(error instanceof DataTraceError) || error.retry !== "timed" || error.code === "log.fenced") throw error;
        this.#reopened += 1;
      }
    }
  }

  async #append(writer: LogWriter): Promise<void> {
    let next = (await this.#position()) + 1;
    while (!this.#stop.signal.aborted) {
      await writer.append(this.#records(next));
      this.#acknowledged = next;
      next += 1;
    }
  }

  async #position(): Promise<number> {
    const records = await this.#log.latestByKey(this.#state);
    const own = records.find(({ key }) => Buffer.from(key ?? []).toString() === this.#id);
    return own === undefined ? -1 : Number(Buffer.from(own.value ?? []).toString());
  }

  #records(number: number): LogRecord[] {
    const value = Buffer.from(String(number));
    const key = Buffer.from(this.#id);
    return [
      { topic: this.#state, partition: 0, key, value },
      ...Array.from({ length: this.#partitions }, (_, partition) => ({ topic: this.#topic, partition, key, value })),
    ];
  }
}
