/** One broker of a throwaway cluster, wherever it runs. */
export interface KafkaNode {
  /** Undefined while it is down, or in a container. */
  readonly pid: number | undefined;
  log(): Promise<string>;
  start(signal?: AbortSignal): Promise<void>;
  stop(): Promise<void>;
  kill(): Promise<void>;
  freeze(): Promise<void>;
  wake(): Promise<void>;
  /** After `kill`: nothing of it is left. */
  remove(): Promise<void>;
}

/** What a broker is made of. */
export interface KafkaNodeOptions {
  readonly index: number;
  /** Brokers of the cluster. */
  readonly count: number;
  /** All but `log.dirs`. */
  readonly settings: Readonly<Record<string, string>>;
  /** Credentials in the form that `kafka-storage format --add-scram` takes. */
  readonly scram: readonly string[];
  readonly heapMiB: number;
}

/** As a properties file has them. */
export function propertiesOf(settings: Readonly<Record<string, string>>): string {
  return Object.entries(settings)
    .map(([name, value]) => `${name}=${value}\n`)
    .join("");
}
