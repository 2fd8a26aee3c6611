export interface KafkaOptions {
  /** How many brokers, each a controller too. 1 when left out. */
  readonly brokers?: 1 | 3;
  /**
   * What the listener for clients demands. With `sasl` it takes PLAIN, SCRAM-SHA-256 and SCRAM-SHA-512 for the one user
   * in `KafkaServer.login`.
   */
  readonly security?: { readonly ssl?: boolean; readonly sasl?: boolean };
  /**
   * Told the ports that the brokers listen on, before they start, it answers those that they send clients to: of proxies
   * in front of them. Without it they are the same.
   */
  readonly advertise?: (ports: readonly number[]) => Promise<readonly number[]>;
  /** Broker settings, beside those that a small throwaway cluster needs. */
  readonly settings?: Readonly<Record<string, string>>;
}

/**
 * A Kafka of our own (KRaft) on the loopback interface. Disposing of it stops it and removes its data; if this process
 * dies first, even by SIGKILL, a watchdog does the same. Brokers are numbered from 0.
 */
export interface KafkaServer extends AsyncDisposable {
  /** `host:port` where clients reach them, in the brokers' order. */
  readonly brokers: readonly string[];
  /** The certificate that signs the brokers', as PEM; undefined without `ssl`. */
  readonly ca: string | undefined;
  /** Undefined without `sasl`. */
  readonly login: { readonly username: string; readonly password: string } | undefined;
  /** Undefined while the broker is down, or when it runs in a container. */
  pid(broker: number): number | undefined;
  /** The lines that a broker has logged so far. */
  log(broker: number): Promise<string>;
  /** Starts a broker again on its data and ports, and waits until it serves. */
  start(broker: number, signal?: AbortSignal): Promise<void>;
  /** Asks it to end, and waits. */
  stop(broker: number): Promise<void>;
  /** SIGKILL; returns when it is gone. */
  kill(broker: number): Promise<void>;
  /** SIGSTOP: connections stay open, nothing answers. */
  freeze(broker: number): Promise<void>;
  /** SIGCONT. */
  wake(broker: number): Promise<void>;
}
