import { setTimeout as delay } from "node:timers/promises";
import type { Client } from "pg";
import { LogicalReplicationService } from "pg-logical-replication";
import type { ConnectionSettings } from "./connection-settings.ts";
import { quoteName, quoteText } from "./identifier.ts";
import { formatLsn, parseLsn } from "./lsn.ts";
import type { Lsn } from "./lsn.ts";
import { sessionConfig } from "./session.ts";
import type { SessionOptions } from "./session.ts";

/** Who receives the stream. Called on the socket's turn: neither may throw, nor keep the buffer. */
export interface ReplicationReceiver {
  /** A pgoutput message, and where in the WAL its record begins. */
  message(message: Buffer, walStart: number): void;
  /** The server has sent everything up to here. */
  keepAlive(walEnd: Lsn): void;
}

export interface ReplicationOptions extends SessionOptions {
  readonly server: ConnectionSettings;
  readonly slot: string;
  readonly publication: string;
  /** Transactions that end at or before it are not sent again. */
  readonly startAt: Lsn;
  /** At least this often the server hears from us; well within its `wal_sender_timeout`. */
  readonly statusIntervalMs: number;
  /** Silence of the server after which the connection counts as lost; it answers each of our status messages. */
  readonly silenceTimeoutMs: number;
}

/**
 * One START_REPLICATION on a slot, through `pg-logical-replication` 2.5, of which only the connection is used, because
 * its own book-keeping loses data:
 * - its `acknowledge(lsn)` sends lsn + 1. A transaction whose commit record begins exactly at the end of the one that
 *   is acknowledged lies "before" lsn + 1, and would be skipped after a restart. So lsn - 1 is handed over.
 * - its timer acknowledges what was received, stored or not, even with `auto: false`. So `timeoutSeconds: 0`, and the
 *   status messages that the server wants come from a timer here, with the last acknowledged position.
 * - its flow control queues every message. Instead the socket itself is paused.
 */
export class ReplicationConnection implements AsyncDisposable {
  readonly #service: LogicalReplicationService;
  readonly #plugin: PgoutputPlugin;
  readonly #options: ReplicationOptions;
  readonly #failure = Promise.withResolvers<never>();
  #acknowledged: Lsn;
  #sending = false;
  #paused = false;
  #lastHeardMs = Date.now();
  #timer: NodeJS.Timeout | null = null;
  #closed = false;

  private constructor(options: ReplicationOptions, receiver: ReplicationReceiver) {
    this.#options = options;
    this.#acknowledged = options.startAt;
    this.#failure.promise.catch(() => undefined);
    this.#service = new LogicalReplicationService(sessionConfig(options.server, options), {
      acknowledge: { auto: false, timeoutSeconds: 0 },
      flowControl: { enabled: false },
    });
    this.#service.on("error", (error) => this.#fail(error));
    this.#service.on("heartbeat", (lsn, _timestamp, shouldRespond) => {
      this.#lastHeardMs = Date.now();
      receiver.keepAlive(parseLsn(lsn));
      if (shouldRespond) this.#sendStatus(false);
    });
    this.#plugin = new PgoutputPlugin({
      publication: options.publication,
      receive: (message, walStart) => {
        this.#lastHeardMs = Date.now();
        receiver.message(message, walStart);
      },
      failed: (error) => this.#fail(error),
    });
  }

  /** Throws what the driver throws: the slot is missing (`42704`), somebody streams it (`55006`), the login failed. */
  static async open(
    options: ReplicationOptions,
    receiver: ReplicationReceiver,
    signal: AbortSignal,
  ): Promise<ReplicationConnection> {
    signal.throwIfAborted();
    const connection = new ReplicationConnection(options, receiver);
    const abort = (): void => connection.#fail(signal.reason);
    signal.addEventListener("abort", abort, { once: true });
    try {
      await connection.#start();
      return connection;
    } catch (error) {
      await connection[Symbol.asyncDispose]();
      throw error;
    } finally {
      signal.removeEventListener("abort", abort);
    }
  }

  /** Rejects when the stream has ended, with the driver's error. Never resolves. */
  get failure(): Promise<never> {
    return this.#failure.promise;
  }

  /**
   * Tells the server that everything before `lsn` is durable here: this very number, never more (I1), never less than
   * before (I2). Sent at once; calls of the same turn go in one message.
   */
  acknowledge(lsn: Lsn): void {
    if (lsn <= this.#acknowledged) return; // I2
    this.#acknowledged = lsn;
    if (this.#sending) return;
    this.#sending = true;
    setImmediate(() => {
      this.#sending = false;
      this.#sendStatus(false);
    });
  }

  /** Asks for a keep-alive now: it says how far the server has read. */
  ping(): void {
    this.#sendStatus(true);
  }

  /** Stops reading from the socket; what is in the driver's hands still arrives. Status messages go on. */
  pause(): void {
    if (this.#paused || this.#closed) return;
    this.#paused = true;
    this.#plugin.socket?.pause();
  }

  resume(): void {
    if (!this.#paused || this.#closed) return;
    this.#paused = false;
    this.#lastHeardMs = Date.now();
    this.#plugin.socket?.resume();
  }

  async [Symbol.asyncDispose](): Promise<void> {
    if (this.#closed) return;
    this.#closed = true;
    if (this.#timer !== null) clearInterval(this.#timer);
    const stopped = this.#service.destroy();
    // A paused socket would never report its end.
    this.#plugin.socket?.destroy();
    // A connection attempt that nobody answers ends by its own timeout; nobody need wait for that.
    const patience = new AbortController();
    await Promise.race([stopped, delay(1_000, undefined, { signal: patience.signal })]).catch(() => undefined);
    patience.abort();
  }

  async #start(): Promise<void> {
    const started = new Promise<void>((resolve) => this.#service.on("start", () => resolve()));
    const run = this.#service.subscribe(this.#plugin, this.#options.slot, formatLsn(this.#options.startAt));
    // The server ends a stream in good order when it shuts down.
    run.then(
      () => this.#fail(new Error("Connection ended by the server")),
      (error: unknown) => this.#fail(error),
    );
    await Promise.race([started, this.failure]);
    this.#sendStatus(false);
    this.#timer = setInterval(() => this.#tick(), this.#options.statusIntervalMs);
  }

  #tick(): void {
    // While paused nothing is read, so silence means nothing.
    if (!this.#paused && Date.now() - this.#lastHeardMs > this.#options.silenceTimeoutMs) {
      this.#fail(new Error("Connection timeout: the server is silent"));
      return;
    }
    this.#sendStatus(!this.#paused);
  }

  #sendStatus(ping: boolean): void {
    if (this.#closed) return;
    // The library adds one: I1.
    this.#service.acknowledge(formatLsn(this.#acknowledged - 1n), ping).catch((error: unknown) => this.#fail(error));
  }

  #fail(error: unknown): void {
    this.#failure.reject(error);
    this.#plugin.socket?.destroy();
  }
}

interface PluginOptions {
  readonly publication: string;
  readonly receive: (message: Buffer, walStart: number) => void;
  readonly failed: (error: unknown) => void;
}

interface Socket {
  pause(): void;
  resume(): void;
  destroy(): void;
}

interface ReplicationClient {
  readonly connection: {
    readonly stream: Socket;
    prependListener(event: "copyData", listener: (message: { readonly chunk: Buffer }) => void): void;
  };
}

/** The library's hook for an output plugin: starts the stream, and is given each message. */
class PgoutputPlugin {
  readonly options: PluginOptions;
  #connection: ReplicationClient["connection"] | null = null;
  #walStart = 0;

  constructor(options: PluginOptions) {
    this.options = options;
  }

  get name(): string {
    return "pgoutput";
  }

  /** Null until the connection is made. With TLS the socket of before the handshake is no use, so it is looked up. */
  get socket(): Socket | null {
    return this.#connection?.stream ?? null;
  }

  async start(client: Client, slotName: string, lastLsn: string): Promise<unknown> {
    this.#connection = (client as unknown as ReplicationClient).connection;
    // The library passes on the message without its header (tag, start, end, time).
    this.#connection.prependListener("copyData", ({ chunk }) => {
      if (chunk[0] === 0x77) this.#walStart = chunk.readUInt32BE(1) * 0x1_00_00_00_00 + chunk.readUInt32BE(5);
    });
    const publications = quoteText(quoteName(this.options.publication));
    return client.query(
      `START_REPLICATION SLOT ${quoteName(slotName)} LOGICAL ${lastLsn} (proto_version '1', publication_names ${publications}, messages 'true')`,
    );
  }

  /** Called from the socket's event: an error that left it would end the process. */
  parse(message: Buffer): void {
    try {
      this.options.receive(message, this.#walStart);
    } catch (error) {
      this.options.failed(error);
    }
  }
}
