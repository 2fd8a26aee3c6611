import { Client } from "pg";
import type { Connection, Submittable } from "pg";

export interface RawCopyResult {
  readonly rows: number;
  readonly bytes: number;
  readonly ms: number;
}

interface CopyDataMessage {
  readonly chunk: Buffer;
}

/** COPY TO STDOUT whose data is only counted: the fastest that this client can be handed rows. */
class CountingCopy implements Submittable {
  readonly #statement: string;
  readonly #done: (error: Error | null) => void;
  rows = 0;
  bytes = 0;

  constructor(statement: string, done: (error: Error | null) => void) {
    this.#statement = statement;
    this.#done = done;
  }

  submit(connection: Connection): void {
    connection.query(this.#statement);
  }

  handleCopyData(message: CopyDataMessage): void {
    this.rows += 1;
    this.bytes += message.chunk.length;
  }

  handleCommandComplete(): void {
    // ReadyForQuery follows.
  }

  handleError(error: Error): void {
    this.#done(error);
  }

  handleReadyForQuery(): void {
    this.#done(null);
  }
}

/** Raw limit of a snapshot: reads the table by COPY in text and throws the rows away. */
export async function rawCopy(url: string, table: string): Promise<RawCopyResult> {
  const client = new Client({ connectionString: url });
  await client.connect();
  try {
    const begunMs = performance.now();
    const copy = await new Promise<CountingCopy>((resolve, reject) => {
      const counting: CountingCopy = new CountingCopy(`COPY ${table} TO STDOUT`, (error) =>
        error === null ? resolve(counting) : reject(error),
      );
      client.query(counting);
    });
    return { rows: copy.rows, bytes: copy.bytes, ms: performance.now() - begunMs };
  } finally {
    await client.end();
  }
}
