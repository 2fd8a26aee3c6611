import { DataTraceError, Secret } from "@datatrace/core";
import { parse } from "pg-connection-string";
import type { ConnectionOptions as TlsOptions } from "node:tls";

/** Where to connect to and as whom. Made from a `postgres://` url by `parseConnectionUrl`. */
export interface ConnectionSettings {
  /** A name, an address, or the folder of a Unix socket. */
  readonly host: string;
  readonly port: number;
  readonly database: string;
  readonly user: string;
  readonly password: Secret | null;
  readonly tls: TlsOptions | false;
  /** Command line options of the url (`?options=-c …`), applied before those that a session pins. */
  readonly options: string;
}

const tlsModes = ["disable", "prefer", "require", "verify-ca", "verify-full", "no-verify"];
const known = new Set([
  "sslmode",
  "sslrootcert",
  "sslcert",
  "sslkey",
  "host",
  "port",
  "user",
  "password",
  "options",
  "application_name",
  "uselibpqcompat",
]);

/**
 * Reads a url the way libpq does: `sslmode` is `disable` (also when it is left out), `require` (encrypted, certificate
 * not checked unless `sslrootcert` is given), `verify-ca` or `verify-full`; `prefer` is treated as `require`, because a
 * silent fall-back to plain text protects nothing; `no-verify` checks nothing even with a root certificate.
 * @throws DataTraceError `config.invalid`, without any part of the url but the name of a parameter (I8).
 */
export function parseConnectionUrl(url: Secret): ConnectionSettings {
  const text = url.reveal();
  if (!/^postgres(ql)?:\/\//.test(text)) throw invalid("it must begin with postgres:// or postgresql://");
  const query = new URLSearchParams(text.includes("?") ? text.slice(text.indexOf("?") + 1) : "");
  for (const name of query.keys()) {
    if (!known.has(name)) throw invalid(`the parameter ${name.replaceAll(/[^\w]/g, "")} is not supported`);
  }
  const mode = query.get("sslmode");
  if (mode !== null && !tlsModes.includes(mode)) throw invalid(`sslmode must be one of ${tlsModes.join(", ")}`);
  let parsed: ReturnType<typeof parse>;
  try {
    parsed = parse(text, mode === "no-verify" || query.has("uselibpqcompat") ? {} : { useLibpqCompat: true });
  } catch (error) {
    const file = (error as NodeJS.ErrnoException).code === "ENOENT" ? "a certificate file cannot be read" : null;
    throw invalid(file ?? (mode === "verify-ca" ? "sslmode=verify-ca needs sslrootcert" : "it cannot be parsed"));
  }
  const host = parsed.host === null || parsed.host === "" ? "localhost" : parsed.host;
  if (host.includes(",")) throw invalid("only one host is supported");
  const port = parsed.port === null || parsed.port === undefined || parsed.port === "" ? 5432 : Number(parsed.port);
  if (!Number.isInteger(port) || port < 1 || port > 65_535) throw invalid("the port is not a number from 1 to 65535");
  const user = parsed.user === undefined || parsed.user === "" ? "postgres" : parsed.user;
  const password = parsed.password === undefined || parsed.password === "" ? null : new Secret(parsed.password);
  const database = parsed.database === null || parsed.database === undefined ? user : parsed.database;
  const tls = typeof parsed.ssl === "object" ? (parsed.ssl as TlsOptions) : parsed.ssl === true ? {} : false;
  return { host, port, database, user, password, tls, options: parsed.options ?? "" };
}

function invalid(what: string): DataTraceError {
  return new DataTraceError("config.invalid", {
    message: `The url of a PostgreSQL server is not valid: ${what}.`,
    fix: "Write postgres://user:password@host:port/database?sslmode=verify-full, with special characters percent-encoded.",
  });
}
