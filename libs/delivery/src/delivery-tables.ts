import type { PublishedTable } from "@datatrace/core";
import type { DeliveryOptions } from "./delivery-options.ts";
import { TableDelivery } from "./table-delivery.ts";

/** Which of the capture's tables are delivered, by their topic. */
export class DeliveryTables {
  readonly #options: DeliveryOptions;
  readonly #signal: AbortSignal;
  readonly #byTopic = new Map<string, TableDelivery>();
  readonly #leftOut = new Set<string>();

  constructor(options: DeliveryOptions, signal: AbortSignal) {
    this.#options = options;
    this.#signal = signal;
  }

  all(): readonly TableDelivery[] {
    return [...this.#byTopic.values()];
  }

  topics(): readonly string[] {
    return [...this.#byTopic.keys()];
  }

  of(topic: string): TableDelivery | undefined {
    return this.#byTopic.get(topic);
  }

  /** The capture publishes it, and this delivery does not want it. */
  leavesOut(topic: string): boolean {
    return this.#leftOut.has(topic);
  }

  /** Takes over what the capture says of its tables; true when there is another set of topics to read. */
  fold(tables: readonly PublishedTable[]): boolean {
    const { sink, delivery, strategy } = this.#options;
    let isChanged = false;
    const wanted = new Set<string>();
    for (const table of tables) {
      const target = this.#options.target(table.table);
      if (target === null) {
        this.#leftOut.add(table.topic);
        continue;
      }
      wanted.add(table.topic);
      const known = this.#byTopic.get(table.topic);
      if (known !== undefined) {
        known.phase = table.phase;
        continue;
      }
      const options = { sink, delivery, strategy, target, signal: this.#signal };
      this.#byTopic.set(table.topic, new TableDelivery(table, options));
      isChanged = true;
    }
    for (const topic of this.#byTopic.keys()) {
      if (wanted.has(topic)) continue;
      this.#byTopic.delete(topic);
      isChanged = true;
    }
    return isChanged;
  }
}
