import { dirname, resolve } from "node:path";
import { Secret } from "@datatrace/core";
import { parseByteSize } from "./byte-size.ts";
import { defaultDirectory } from "./log-schema.ts";
import type { KafkaDocument, LogDocument, RegistryDocument, SslDocument } from "./log-schema.ts";

/** Where the events of a pipeline lie. */
export type PipelineLog = EmbeddedLogSettings | KafkaLogSettings;

export interface EmbeddedLogSettings {
  readonly kind: "embedded";
  /** Absolute path of its directory. */
  readonly directory: string;
  /** Null = the log's own default. */
  readonly maxSizeBytes: number | null;
}

export interface KafkaLogSettings {
  readonly kind: "kafka";
  /** `host:port` each. */
  readonly brokers: readonly string[];
  readonly ssl: boolean | KafkaTlsSettings;
  readonly sasl: {
    readonly mechanism: "plain" | "scram-sha-256" | "scram-sha-512";
    readonly username: string;
    readonly password: Secret;
  } | null;
  readonly registry: RegistrySettings;
  readonly topicPrefix: string;
  /** Null = the log's own default. */
  readonly replicationFactor: number | null;
  /** Line of `kafka:` in the file. */
  readonly line: number;
}

/** PEM texts; what is left out is Node's default. */
export interface KafkaTlsSettings {
  readonly ca?: string;
  readonly cert?: string;
  readonly key?: Secret;
  readonly passphrase?: Secret;
  readonly servername?: string;
  readonly rejectUnauthorized?: boolean;
}

export interface RegistrySettings {
  /** May hold user and password. */
  readonly url: Secret;
  readonly login:
    | { readonly kind: "basic"; readonly user: string; readonly password: Secret }
    | { readonly kind: "bearer"; readonly token: Secret }
    | null;
  readonly tls: {
    readonly ca?: string;
    readonly certificate?: string;
    readonly key?: Secret;
    readonly serverName?: string;
  } | null;
}

/** The settings of a checked `log:`; `file` is the absolute path of the pipeline file, `name` the pipeline's. */
export function logOf(document: LogDocument | undefined, file: string, name: string, line: number): PipelineLog {
  if (document?.kafka !== undefined) return kafkaOf(document.kafka, name, line);
  const limit = document?.max_size;
  return {
    kind: "embedded",
    directory: resolve(dirname(file), document?.directory ?? defaultDirectory),
    maxSizeBytes: limit === undefined ? null : parseByteSize(limit),
  };
}

function kafkaOf(document: KafkaDocument, name: string, line: number): KafkaLogSettings {
  const { ssl = false, sasl, registry } = document;
  return {
    kind: "kafka",
    brokers: document.brokers,
    ssl: typeof ssl === "boolean" ? ssl : tlsOf(ssl),
    sasl: sasl === undefined ? null : { ...sasl, password: new Secret(sasl.password) },
    registry: registryOf(typeof registry === "string" ? { url: registry } : registry),
    topicPrefix: document.topic_prefix ?? name,
    replicationFactor: document.replication_factor ?? null,
    line,
  };
}

function tlsOf({ key, passphrase, ...plain }: SslDocument): KafkaTlsSettings {
  return {
    ...plain,
    ...(key === undefined ? {} : { key: new Secret(key) }),
    ...(passphrase === undefined ? {} : { passphrase: new Secret(passphrase) }),
  };
}

function registryOf({ url, login, tls }: RegistryDocument): RegistrySettings {
  return { url: new Secret(url), login: loginOf(login), tls: tls === undefined ? null : registryTlsOf(tls) };
}

function loginOf(login: RegistryDocument["login"]): RegistrySettings["login"] {
  if (login?.token !== undefined) return { kind: "bearer", token: new Secret(login.token) };
  if (login?.user === undefined) return null;
  return { kind: "basic", user: login.user, password: new Secret(login.password ?? "") };
}

function registryTlsOf({ key, server_name, ...plain }: NonNullable<RegistryDocument["tls"]>): RegistrySettings["tls"] {
  return {
    ...plain,
    ...(key === undefined ? {} : { key: new Secret(key) }),
    ...(server_name === undefined ? {} : { serverName: server_name }),
  };
}
