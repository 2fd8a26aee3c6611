import type { DecodedRecord } from "./fastavro.ts";

/** What an independent consumer is asked to read, whole. */
export interface TopicReading {
  /** `host:port` of a broker. */
  readonly brokers: string;
  readonly registry: string;
  readonly topics: readonly string[];
  readonly isolation: "read_committed" | "read_uncommitted";
}

/** A record as an independent consumer sees it. */
export interface ReadRecord {
  readonly topic: string;
  readonly partition: number;
  readonly key: DecodedRecord | null;
  readonly value: DecodedRecord | null;
  readonly headers: Readonly<Record<string, string>>;
}
