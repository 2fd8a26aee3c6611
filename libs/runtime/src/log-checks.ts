import { parseByteSize } from "./byte-size.ts";
import { fileProblem } from "./file-problem.ts";
import type { FileProblem } from "./file-problem.ts";
import { twoWays } from "./log-schema.ts";
import type { LogDocument, RegistryDocument } from "./log-schema.ts";
import { schemaProblems } from "./schema-problems.ts";
import type { FilePath, YamlSource } from "./yaml-source.ts";

/** One append holds up to 4 MiB of changes: in a log that hardly holds one, nothing would ever fit. */
const smallestLogBytes = 16 * 1024 ** 2;

/** Holds the fields that have two forms against the schema of the form they are in, so that a message speaks of that alone. */
export function logFormProblems(value: unknown, source: YamlSource): readonly FileProblem[] {
  const kafka = mapAt(mapAt(mapAt(value)?.["log"])?.["kafka"]);
  if (kafka === null) return [];
  return (["ssl", "registry"] as const).flatMap((field) => {
    const given = kafka[field];
    if (given === undefined) return [];
    const schema = mapAt(given) === null ? twoWays[field].short : twoWays[field].long;
    return schemaProblems(schema, given, ["log", "kafka", field], source);
  });
}

function mapAt(value: unknown): Readonly<Record<string, unknown>> | null {
  const isMap = typeof value === "object" && value !== null && !Array.isArray(value);
  return isMap ? (value as Readonly<Record<string, unknown>>) : null;
}

/** What the fields of `log:` say together. */
export function logProblems(log: LogDocument | undefined, source: YamlSource): readonly FileProblem[] {
  if (log === undefined) return [];
  return [...sizeProblems(log, source), ...besideKafka(log, source), ...registryProblems(log, source)];
}

function sizeProblems({ max_size: limit }: LogDocument, source: YamlSource): readonly FileProblem[] {
  if (limit === undefined || parseByteSize(limit) >= smallestLogBytes) return [];
  const path = ["log", "max_size"];
  return [fileProblem("config.invalid", "`log.max_size` must be at least 16MiB.", source.line(path), path)];
}

/** A pipeline has one log: a field of the other kind would be ignored without a word. */
function besideKafka(log: LogDocument, source: YamlSource): readonly FileProblem[] {
  if (log.kafka === undefined) return [];
  return (["directory", "max_size"] as const)
    .filter((field) => log[field] !== undefined)
    .map((field) => {
      const path = ["log", field];
      const message = `\`log.${field}\` is of the embedded log, and \`log.kafka\` stands beside it.`;
      const fix = `Remove \`log.${field}\` for a log on Kafka, or \`log.kafka\` for the embedded one.`;
      return fileProblem("config.invalid", message, source.line(path), path, { fix });
    });
}

function registryProblems({ kafka }: LogDocument, source: YamlSource): readonly FileProblem[] {
  const registry = kafka?.registry;
  if (registry === undefined || typeof registry === "string") return [];
  const base = ["log", "kafka", "registry"];
  const problem = (field: string, message: string) => {
    const path = [...base, field];
    return fileProblem("config.invalid", message, source.line(path), path);
  };
  return [
    ...(isOneLogin(registry.login) ? [] : [problem("login", "`login` takes `user` and `password`, or `token` alone.")]),
    ...((registry.tls?.certificate === undefined) === (registry.tls?.key === undefined)
      ? []
      : [problem("tls", "`certificate` and `key` go together.")]),
    ...(registry.tls === undefined || registry.url.startsWith("https://")
      ? []
      : [problem("tls", "TLS settings need a url that begins with `https://`.")]),
  ];
}

function isOneLogin(login: RegistryDocument["login"]): boolean {
  if (login === undefined) return true;
  const { user, password, token } = login;
  return token === undefined
    ? user !== undefined && password !== undefined
    : user === undefined && password === undefined;
}

/** The fields of `log:` that are secrets, and what stands there. */
export function logSecrets(log: LogDocument | undefined): readonly (readonly [path: FilePath, value: unknown])[] {
  const kafka = log?.kafka;
  if (kafka === undefined) return [];
  const { ssl, sasl, registry } = kafka;
  const at = ["log", "kafka"];
  const key = typeof ssl === "object" ? ssl : {};
  const place = typeof registry === "string" ? { url: registry } : registry;
  return [
    [[...at, "ssl", "key"], key.key],
    [[...at, "ssl", "passphrase"], key.passphrase],
    [[...at, "sasl", "password"], sasl?.password],
    [typeof registry === "string" ? [...at, "registry"] : [...at, "registry", "url"], place.url],
    [[...at, "registry", "login", "password"], place.login?.password],
    [[...at, "registry", "login", "token"], place.login?.token],
    [[...at, "registry", "tls", "key"], place.tls?.key],
  ];
}
