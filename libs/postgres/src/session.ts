import { Client, Pool } from "pg";
import type { ClientConfig } from "pg";
import type { ConnectionSettings } from "./connection-settings.ts";

/**
 * What decides how values print. The same on every session, walsender included, so that a row has the same text
 * whichever way it comes.
 */
const pinned: Readonly<Record<string, string>> = {
  client_encoding: "UTF8",
  DateStyle: "ISO,YMD",
  IntervalStyle: "postgres",
  TimeZone: "UTC",
  extra_float_digits: "3",
  bytea_output: "hex",
  lc_monetary: "C",
};

export interface SessionOptions {
  /** What `pg_stat_activity` shows: who we are and what for. */
  readonly applicationName: string;
  /** Further server settings of the session, such as `statement_timeout`. Values in the server's own notation. */
  readonly settings?: Readonly<Record<string, string>>;
  readonly connectTimeoutMs?: number;
  /** A session that takes replication commands beside SQL. */
  readonly replication?: boolean;
}

/** Driver configuration of a session: server, login, TLS, keep-alives and all pinned settings in its start packet. */
export function sessionConfig(
  server: ConnectionSettings,
  options: SessionOptions,
): ClientConfig & { readonly replication?: "database" } {
  const settings = Object.entries({ ...pinned, ...options.settings }).map(
    ([name, value]) => `-c ${name}=${value.replaceAll(/([\\ ])/g, String.raw`\$1`)}`,
  );
  return {
    host: server.host,
    port: server.port,
    database: server.database,
    user: server.user,
    // A function: the driver then keeps no copy that an inspected client would print (I8).
    password: () => server.password?.reveal() ?? "",
    ssl: server.tls,
    application_name: options.applicationName,
    options: [server.options, ...settings].filter((text) => text !== "").join(" "),
    connectionTimeoutMillis: options.connectTimeoutMs ?? 10_000,
    keepAlive: true,
    keepAliveInitialDelayMillis: 10_000,
    ...(options.replication === true ? { replication: "database" } : {}),
  };
}

/** A single session. Throws what the driver throws: classify it with `postgresFailure`, never print it (I8). */
export async function connect(server: ConnectionSettings, options: SessionOptions): Promise<Client> {
  const client = new Client(sessionConfig(server, options));
  // Without a listener a connection lost while idle would end the process; the next query reports it anyway.
  client.on("error", () => undefined);
  await client.connect();
  return client;
}

/** Sessions opened when needed, at most `max`, all alike. */
export function openPool(server: ConnectionSettings, options: SessionOptions & { readonly max: number }): Pool {
  const pool = new Pool({ ...sessionConfig(server, options), max: options.max, idleTimeoutMillis: 30_000 });
  // An idle session that is lost is replaced by the next `connect`.
  pool.on("error", () => undefined);
  // The pool listens to idle sessions only. One that is lost later would end the process; its query reports it. From
  // the first moment on: the server may close it in the very packet that says that it is open.
  pool.on("connect", (client) => client.on("error", () => undefined));
  return pool;
}
