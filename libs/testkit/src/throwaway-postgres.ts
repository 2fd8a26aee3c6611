import type { PostgresMajor } from "./postgres-binaries.ts";

export interface PostgresOptions {
  readonly major: PostgresMajor;
  /** Server settings, beside `wal_level=logical`, `max_wal_senders=16`, `max_replication_slots=16`. */
  readonly settings?: Readonly<Record<string, string>>;
  /** The superuser's password; without one every connection from this machine is trusted. */
  readonly password?: string;
  /** Writes reach the disk as in production (for benchmarks). Without it the data survives `kill`, not a power cut. */
  readonly durable?: boolean;
  /** Keeps the data in this folder, and finds it there next time. Without it the data goes away with the server. */
  readonly dataDir?: string;
}

/**
 * A PostgreSQL of our own on the loopback interface, superuser `postgres`. Disposing of it stops it and removes its
 * data; if this process dies first, even by SIGKILL, a watchdog does the same.
 */
export interface PostgresServer extends AsyncDisposable {
  readonly major: PostgresMajor;
  readonly port: number;
  /** Of the database `postgres`, with the password if there is one. */
  readonly url: string;
  /** Of the postmaster; undefined while it is down, or when it runs in a container. */
  readonly pid: number | undefined;
  /** Undefined when it runs in a container. */
  readonly dataDir: string | undefined;
  /** An empty database that nothing else uses; answers its url. */
  createDatabase(): Promise<string>;
  /** The lines that the server has logged so far. */
  log(): Promise<string>;
  /** Starts it again on the same data and port. */
  start(signal?: AbortSignal): Promise<void>;
  /** Fast shutdown: open transactions are rolled back, connections closed. */
  stop(signal?: AbortSignal): Promise<void>;
  /** SIGKILL of the postmaster and all of its children; returns when they are gone. */
  kill(): Promise<void>;
  restart(signal?: AbortSignal): Promise<void>;
}

export const defaultSettings: Readonly<Record<string, string>> = {
  wal_level: "logical",
  max_wal_senders: "16",
  max_replication_slots: "16",
};
