import { Client } from "pg";
import type { ClientConfig, QueryArrayConfig } from "pg";
import { BoundQuery } from "./bound-query.ts";
import type { ConnectionSettings } from "./connection-settings.ts";
import { sessionConfig } from "./session.ts";
import type { SessionOptions } from "./session.ts";

/** A prepared statement that answers no rows, with its Bind message for the same name. */
export interface BoundStatement {
  readonly name: string;
  readonly text: string;
  readonly bind: Buffer;
}

/** One statement. A `name` makes the server keep it prepared: the same name must always come with the same text. */
export interface Statement {
  readonly text: string;
  readonly name?: string;
  /** Text form of each parameter; a Buffer is sent as a binary parameter. */
  readonly values?: readonly (string | Buffer | null)[];
}

/** Cells are PostgreSQL's own text. */
export interface Answer {
  readonly rows: readonly (readonly (string | null)[])[];
  /** Rows that an INSERT, UPDATE or DELETE touched. */
  readonly rowCount: number;
  /** Command tag: a COMMIT of a failed transaction answers `ROLLBACK`. */
  readonly command: string;
}

export interface PipelineOptions extends SessionOptions {
  readonly server: ConnectionSettings;
  /** Longest wait for the next answer before the connection counts as lost. */
  readonly answerTimeoutMs: number;
}

const farewellMs = 1_000;

const textOnly = { getTypeParser: () => (text: string) => text };

/**
 * A connection whose statements are sent without waiting for the answers of those before, each with a Sync of its own:
 * the server starts with the first while the next are still being built, and its limit on idle transactions counts
 * between any two. After an error the connection is still usable; after `usable` is false it is not.
 */
export class PipelinedSession implements AsyncDisposable {
  readonly #client: Client;
  readonly #answerTimeoutMs: number;
  readonly #lost = Promise.withResolvers<never>();
  #waiting = 0;
  #deadline: NodeJS.Timeout | null = null;
  #usable = true;

  private constructor(client: Client, answerTimeoutMs: number) {
    this.#client = client;
    this.#answerTimeoutMs = answerTimeoutMs;
    // Nobody may be waiting when the connection goes: the next caller learns it from `usable`.
    this.#lost.promise.catch(() => {});
    client.on("error", (error) => this.#lose(error));
    client.on("end", () => this.#lose(new Error("connection ended")));
  }

  /** Throws what the driver throws: classify it with `postgresFailure`, never print it (I8). */
  static async open(options: PipelineOptions, signal: AbortSignal): Promise<PipelinedSession> {
    signal.throwIfAborted();
    const config: ClientConfig & { readonly pipeline: boolean } = {
      ...sessionConfig(options.server, options),
      pipeline: true,
    };
    const session = new PipelinedSession(new Client(config), options.answerTimeoutMs);
    const abort = (): void => session.destroy();
    signal.addEventListener("abort", abort, { once: true });
    try {
      await session.#client.connect();
      signal.throwIfAborted();
      return session;
    } catch (error) {
      session.destroy();
      signal.throwIfAborted();
      throw error;
    } finally {
      signal.removeEventListener("abort", abort);
    }
  }

  /** Process id of the server's side. */
  get pid(): number {
    return (this.#client as Client & { readonly processID: number }).processID;
  }

  get usable(): boolean {
    return this.#usable;
  }

  /** Sends at once. Rejects with the driver's error, or with the loss of the connection. */
  async send(statement: Statement | BoundStatement): Promise<Answer> {
    if (!this.#usable) return this.#lost.promise;
    this.#waiting += 1;
    if (this.#deadline === null) this.#await();
    try {
      return await ("bind" in statement ? this.#sendBound(statement) : this.#sendText(statement));
    } finally {
      this.#waiting -= 1;
      this.#await();
    }
  }

  async #sendText(statement: Statement): Promise<Answer> {
    const query: QueryArrayConfig & { readonly types: unknown } = {
      text: statement.text,
      rowMode: "array",
      types: textOnly,
      ...(statement.name === undefined ? {} : { name: statement.name }),
      ...(statement.values === undefined ? {} : { values: statement.values as (string | Buffer | null)[] }),
    };
    const { rows, rowCount, command } = await this.#client.query<(string | null)[]>(query);
    return { rows, rowCount: rowCount ?? 0, command };
  }

  async #sendBound({ name, text, bind }: BoundStatement): Promise<Answer> {
    const { promise, resolve, reject } = Promise.withResolvers<Answer>();
    this.#client.query(
      new BoundQuery(name, text, bind, (error, result) => {
        // The driver calls with null where its types say undefined.
        if (error instanceof Error) reject(error);
        else resolve({ rows: [], rowCount: result.rowCount ?? 0, command: result.command });
      }),
    );
    return promise;
  }

  /** Closes without a farewell: an open transaction rolls back. */
  destroy(): void {
    this.#lose(new Error("connection closed by this side"));
  }

  /** Says farewell, which a server that does not answer cannot hold up for long. */
  async [Symbol.asyncDispose](): Promise<void> {
    if (!this.#usable) return;
    const late = setTimeout(() => this.destroy(), farewellMs);
    await this.#client.end().catch(() => {});
    clearTimeout(late);
    this.#usable = false;
  }

  /** A peer that vanished without closing is noticed by its silence only. */
  #await(): void {
    if (this.#deadline !== null) clearTimeout(this.#deadline);
    this.#deadline = null;
    if (this.#waiting === 0 || !this.#usable) return;
    this.#deadline = setTimeout(
      () => this.#lose(new Error("connection gave no answer in time")),
      this.#answerTimeoutMs,
    );
  }

  #lose(error: Error): void {
    if (!this.#usable) return;
    this.#usable = false;
    if (this.#deadline !== null) clearTimeout(this.#deadline);
    this.#deadline = null;
    this.#lost.reject(error);
    const { connection } = this.#client as Client & { readonly connection: { stream: { destroy(): void } } };
    connection.stream.destroy();
  }
}
