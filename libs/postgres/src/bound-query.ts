import { Query } from "pg";
import type { Connection } from "pg";

/** What the driver notes of a connection: the texts of statements it has prepared, and of those on their way. */
interface PreparedStatements {
  readonly parsedStatements: Record<string, string | undefined>;
  readonly submittedNamedStatements: Record<string, string | undefined>;
}

export interface BoundQueryResult {
  readonly rowCount: number | null;
  readonly command: string;
}

/**
 * A prepared statement with a Bind message that is there already, in the driver's queue like any other query. It answers
 * no rows, so that nothing has to be described.
 */
export class BoundQuery extends Query {
  readonly #name: string;
  readonly #text: string;
  readonly #bind: Buffer;

  constructor(
    name: string,
    text: string,
    bind: Buffer,
    callback: (error: Error | undefined, result: BoundQueryResult) => void,
  ) {
    super({ name, text }, callback as never);
    this.#name = name;
    this.#text = text;
    this.#bind = bind;
  }

  /** Called by the driver when it is the query's turn to be sent. */
  override submit = (connection: Connection): null => {
    const { parsedStatements, submittedNamedStatements } = connection as Connection & PreparedStatements;
    const { stream } = connection;
    stream.cork();
    try {
      if (parsedStatements[this.#name] === undefined && submittedNamedStatements[this.#name] === undefined) {
        connection.parse({ name: this.#name, text: this.#text, types: [] }, true);
        submittedNamedStatements[this.#name] = this.#text;
      }
      if (stream.writable) stream.write(this.#bind);
      connection.execute(null, true);
      connection.sync();
    } finally {
      stream.uncork();
    }
    return null;
  };
}
