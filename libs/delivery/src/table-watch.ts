import { parsePublishedTable, stateTopic } from "@datatrace/core";
import type { EventLog, PublishedTable } from "@datatrace/core";

/** Reads which tables a capture publishes, again only when its state topic has grown. */
export class TableWatch {
  readonly #log: EventLog;
  readonly #topic: string;
  #end: bigint | null = null;

  constructor(log: EventLog, capture: string) {
    this.#log = log;
    this.#topic = stateTopic(capture);
  }

  /** All tables of the capture that have a topic; null when nothing has changed since the last call. */
  async look(signal: AbortSignal): Promise<readonly PublishedTable[] | null> {
    if ((await this.#log.topic(this.#topic, signal)) === null) return null;
    const { end } = await this.#log.bounds({ topic: this.#topic, partition: 0 }, signal);
    if (end === this.#end) return null;
    const records = await this.#log.latestByKey(this.#topic, signal);
    const tables = records
      .map(({ key, value }) => parsePublishedTable(key, value))
      .filter((table) => table !== null)
      .filter(({ topic }) => topic !== "");
    const existing: PublishedTable[] = [];
    let isWhole = true;
    for (const table of tables) {
      if ((await this.#log.topic(table.topic, signal)) !== null) existing.push(table);
      // Its topic is about to be made: look again.
      else isWhole = false;
    }
    this.#end = isWhole ? end : null;
    return existing;
  }
}
