import { connect, openPool, runScript } from "@datatrace/postgres";
import type { ConnectionSettings, ScriptReader, SessionOptions } from "@datatrace/postgres";
import type { Client, Pool, PoolClient } from "pg";
import { sourceError } from "./source-error.ts";

/** Longest time that the server works on one statement of bookkeeping. */
const statementTimeoutMs = 60_000;
/** A server that says nothing for longer has vanished without closing the connection. */
const controlSilenceMs = 75_000;
const readSilenceMs = 300_000;

/** Commits of ours (watermarks) do not wait for a standby. A client that vanished does not hold its locks for hours. */
const streamSettings: Readonly<Record<string, string>> = {
  synchronous_commit: "local",
  tcp_keepalives_idle: "30",
  tcp_keepalives_interval: "10",
  tcp_keepalives_count: "3",
  idle_in_transaction_session_timeout: "60s",
};

/** A policy that would hide rows from us is an error, not a gap. */
const settings: Readonly<Record<string, string>> = { ...streamSettings, row_security: "off", lock_timeout: "10s" };

/** Chunks are index ranges that a planner with old statistics would turn into a scan of the whole table each. */
const readSettings: Readonly<Record<string, string>> = { jit: "off", max_parallel_workers_per_gather: "0" };

/** The sessions of one capture beside the stream: a few for bookkeeping, and as many as chunks are read at once. */
export class ServerSessions implements AsyncDisposable {
  readonly server: ConnectionSettings;
  readonly #applicationName: string;
  readonly #control: Pool;
  readonly #reads: Pool;

  constructor(server: ConnectionSettings, applicationName: string, parallelReads: number) {
    this.server = server;
    this.#applicationName = applicationName;
    this.#control = openPool(server, {
      applicationName,
      max: 4,
      settings: { ...settings, statement_timeout: String(statementTimeoutMs) },
    });
    this.#reads = openPool(server, {
      applicationName: `${applicationName} read`,
      max: parallelReads,
      settings: { ...settings, ...readSettings },
    });
  }

  /** Bookkeeping on a session of its own; the session is thrown away when the work fails or is aborted. */
  async control<T>(signal: AbortSignal, work: (session: Client) => Promise<T>): Promise<T> {
    return await use(this.#control, controlSilenceMs, signal, work);
  }

  /** One script of reads: `BEGIN …; SELECT …; COPY …; COMMIT`. */
  async read(sql: string, reader: ScriptReader, signal: AbortSignal): Promise<void> {
    await use(this.#reads, readSilenceMs, signal, (session) => runScript(session, sql, reader));
  }

  /** What the stream's connection, and others outside of the pools, are opened with. */
  get options(): SessionOptions {
    return { applicationName: `${this.#applicationName} stream`, settings: streamSettings };
  }

  /** A session for replication commands such as CREATE_REPLICATION_SLOT, which the stream's library does not offer. */
  async replication<T>(signal: AbortSignal, work: (session: Client) => Promise<T>): Promise<T> {
    signal.throwIfAborted();
    const session = await guarded(connect(this.server, { ...this.options, replication: true }));
    const abort = (): void => void session.end().catch(() => undefined);
    signal.addEventListener("abort", abort, { once: true });
    try {
      return await work(session);
    } catch (error) {
      signal.throwIfAborted();
      throw sourceError(error);
    } finally {
      signal.removeEventListener("abort", abort);
      await session.end().catch(() => undefined);
    }
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await Promise.all([this.#control.end(), this.#reads.end()]);
  }
}

async function guarded<T>(work: Promise<T>): Promise<T> {
  try {
    return await work;
  } catch (error) {
    throw sourceError(error);
  }
}

async function use<T>(
  pool: Pool,
  silenceMs: number,
  signal: AbortSignal,
  work: (session: PoolClient) => Promise<T>,
): Promise<T> {
  signal.throwIfAborted();
  const session = await guarded(pool.connect());
  let broken = true;
  // The server ends the statement when it notices that nobody is there any more.
  const abort = (): void => destroySocket(session);
  signal.addEventListener("abort", abort, { once: true });
  const watch = watchSilence(session, silenceMs);
  try {
    signal.throwIfAborted();
    const result = await work(session);
    broken = false;
    return result;
  } catch (error) {
    signal.throwIfAborted();
    throw sourceError(error);
  } finally {
    signal.removeEventListener("abort", abort);
    clearInterval(watch);
    session.release(broken);
  }
}

/** Ends the session when nothing has been received for so long. */
function watchSilence(session: PoolClient, silenceMs: number): NodeJS.Timeout {
  const { stream } = session.connection as { readonly stream: { readonly bytesRead?: number } };
  let received = stream.bytesRead;
  return setInterval(() => {
    if (stream.bytesRead === received) destroySocket(session);
    received = stream.bytesRead;
  }, silenceMs);
}

function destroySocket(session: PoolClient): void {
  session.connection.stream.destroy();
}
