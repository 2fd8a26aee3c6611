import { Agent as PlainAgent } from "node:http";
import { Agent as SecureAgent } from "node:https";
import { DataTraceError, Secret } from "@datatrace/core";

/** Who we are to the registry. */
export type RegistryLogin =
  | { readonly kind: "basic"; readonly user: string; readonly password: Secret }
  | { readonly kind: "bearer"; readonly token: Secret };

/** PEM texts, as they stand in files. */
export interface RegistryTlsOptions {
  /** Trusted instead of the authorities that Node brings. */
  readonly ca?: string;
  /** Ours, with its chain; goes with `key`. */
  readonly certificate?: string;
  readonly key?: Secret;
  /** The name that the registry's certificate must be for, where it is not the url's host. */
  readonly serverName?: string;
}

export interface RegistryAddress {
  /**
   * http or https, up to and including the path of the Confluent-compatible interface: `https://registry.example:8081`, or
   * `…/apis/ccompat/v7` on Apicurio. May hold user and password, which is why it is a secret.
   */
  readonly url: Secret;
  /** Used rather than the one in the url. */
  readonly login?: RegistryLogin;
  readonly tls?: RegistryTlsOptions;
}

/** How requests reach the registry. `base` and `place` hold no secret; `authorization` is a header's value. */
export interface RegistryConnection {
  readonly base: string;
  /** Host and port, for messages. */
  readonly place: string;
  readonly authorization: Secret | null;
  readonly agent: PlainAgent | SecureAgent;
}

const invalid = (what: string): DataTraceError =>
  // The url itself may hold a password, so no part of it is repeated (I8).
  new DataTraceError("config.invalid", { message: `The schema registry's url ${what}.` });

/** @throws DataTraceError `config.invalid`. */
export function openRegistryConnection({ url, login, tls }: RegistryAddress): RegistryConnection {
  const parsed = parse(url.reveal());
  if (parsed.protocol !== "http:" && parsed.protocol !== "https:") throw invalid("must begin with http:// or https://");
  if (parsed.search !== "" || parsed.hash !== "") throw invalid("must end with its path: no query, no fragment");
  if (tls !== undefined && parsed.protocol === "http:") throw invalid("must begin with https:// for its TLS settings");
  const header = login === undefined ? fromUrl(parsed) : fromLogin(login);
  return {
    base: `${parsed.protocol}//${parsed.host}${parsed.pathname.replace(/\/+$/, "")}`,
    place: parsed.host,
    authorization: header === null ? null : new Secret(header),
    agent: parsed.protocol === "http:" ? new PlainAgent({ keepAlive: true }) : secureAgent(tls),
  };
}

function parse(text: string): URL {
  try {
    return new URL(text);
  } catch {
    throw invalid("is not a url");
  }
}

function secureAgent({ ca, certificate, key, serverName }: RegistryTlsOptions = {}): SecureAgent {
  return new SecureAgent({
    keepAlive: true,
    ...(ca === undefined ? {} : { ca }),
    ...(certificate === undefined ? {} : { cert: certificate }),
    ...(key === undefined ? {} : { key: key.reveal() }),
    ...(serverName === undefined ? {} : { servername: serverName }),
  });
}

function fromUrl({ username, password }: URL): string | null {
  if (username === "" && password === "") return null;
  try {
    return basic(decodeURIComponent(username), decodeURIComponent(password));
  } catch {
    throw invalid("has a % in its user or password that is not written as %25");
  }
}

function fromLogin(login: RegistryLogin): string {
  return login.kind === "bearer" ? `Bearer ${login.token.reveal()}` : basic(login.user, login.password.reveal());
}

/** RFC 7617, in UTF-8. */
function basic(user: string, password: string): string {
  return `Basic ${Buffer.from(`${user}:${password}`).toString("base64")}`;
}
