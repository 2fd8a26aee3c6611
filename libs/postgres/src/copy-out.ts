import type { Client, Connection } from "pg";

/** What a script of statements sends back, in order. Buffers are valid only during the call. */
export interface ScriptReader {
  /** A row of a SELECT, as text. */
  row?(cells: readonly (string | null)[]): void;
  /** A row of COPY … TO STDOUT. */
  copyRow?(line: Buffer): void;
}

/**
 * Runs several statements in one round trip, COPY … TO STDOUT among them. The driver has no query class for that, and
 * its copy streams would put each row through a stream; here a row is decoded where it arrives. Without BEGIN in it
 * the script is one transaction. An error of the reader ends the session: what else is on the way is of no use.
 */
export async function runScript(session: Client, sql: string, reader: ScriptReader = {}): Promise<void> {
  const { promise, resolve, reject } = Promise.withResolvers<void>();
  session.query(new Script(sql, reader, (error) => (error === null ? resolve() : reject(error))));
  await promise;
}

/** The calls that `pg`'s client makes on an active query, of which its types name only `submit`. */
class Script {
  readonly #sql: string;
  readonly #reader: ScriptReader;
  readonly #done: (error: unknown) => void;
  #error: unknown = null;
  #connection: Connection | null = null;

  constructor(sql: string, reader: ScriptReader, done: (error: unknown) => void) {
    this.#sql = sql;
    this.#reader = reader;
    this.#done = done;
  }

  submit(connection: Connection): void {
    this.#connection = connection;
    connection.query(this.#sql);
  }

  handleRowDescription(): void {}

  handleDataRow(message: { readonly fields: readonly (string | null)[] }): void {
    this.#read(() => this.#reader.row?.(message.fields));
  }

  handleCopyData(message: { readonly chunk: Buffer }): void {
    this.#read(() => this.#reader.copyRow?.(message.chunk));
  }

  handleCommandComplete(): void {}

  handleEmptyQuery(): void {}

  handlePortalSuspended(): void {}

  handleCopyInResponse(connection: { sendCopyFail(reason: string): void }): void {
    connection.sendCopyFail("nothing to copy in");
  }

  /** The server answers ReadyForQuery to a simple query after its error too; after the loss of the session nothing comes. */
  handleError(error: unknown): void {
    this.#done(this.#error ?? error);
  }

  handleReadyForQuery(): void {
    this.#done(this.#error);
  }

  #read(step: () => void): void {
    if (this.#error !== null) return;
    try {
      step();
    } catch (error) {
      this.#error = error;
      this.#connection?.stream.destroy();
    }
  }
}
