import type { Client, Connection, Submittable } from "pg";

/** What `pg` leaves out of its types: the messages of a COPY from the client. */
interface CopyConnection extends Connection {
  sendCopyFromChunk(chunk: Buffer): void;
  endCopyFrom(): void;
}

/** `COPY … FROM STDIN` with all of its text at once. COPY writes many rows into one WAL record, which INSERT never does. */
class CopyIn implements Submittable {
  readonly #statement: string;
  readonly #text: string;
  readonly #done: (error: Error | null) => void;
  #error: Error | null = null;

  constructor(statement: string, text: string, done: (error: Error | null) => void) {
    this.#statement = statement;
    this.#text = text;
    this.#done = done;
  }

  submit(connection: Connection): void {
    connection.query(this.#statement);
  }

  handleCopyInResponse(connection: CopyConnection): void {
    connection.sendCopyFromChunk(Buffer.from(this.#text));
    connection.endCopyFrom();
  }

  handleCommandComplete(): void {
    // The answer that counts is ReadyForQuery.
  }

  handleError(error: Error): void {
    // After an error the server is ready again, and the client reports that; a lost connection never gets there.
    this.#error = error;
    this.#done(error);
  }

  handleReadyForQuery(): void {
    this.#done(this.#error);
  }
}

/** Runs the COPY inside the client's transaction. `text` is in COPY's text format. */
export async function copyIn(client: Client, statement: string, text: string): Promise<void> {
  await new Promise<void>((resolve, reject) => {
    client.query(new CopyIn(statement, text, (error) => (error === null ? resolve() : reject(error))));
  });
}
