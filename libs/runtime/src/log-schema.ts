import { Type } from "typebox";
import type { TSchema } from "typebox";

/** Where the embedded log lies when the file does not say. */
export const defaultDirectory = "datatrace-data";

const closed = { additionalProperties: false } as const;

function text(description: string) {
  return Type.Optional(Type.String({ minLength: 1, description }));
}

function secret(description: string) {
  return Type.Optional(Type.String({ minLength: 1, writeOnly: true, description }));
}

const sslSwitch = Type.Boolean({ description: "Speak TLS, and trust what Node trusts." });

const sslSettings = Type.Object(
  {
    ca: text("Certificate (PEM text) that is trusted instead of the authorities that Node brings."),
    cert: text("Our own certificate with its chain, PEM text; goes with `key`."),
    key: secret("Key of `cert`, PEM text."),
    passphrase: secret("Passphrase of `key`."),
    servername: text("The name that the brokers' certificates must be for, where it is not their host."),
    rejectUnauthorized: Type.Optional(
      Type.Boolean({ default: true, description: "`false` accepts any certificate: for a try-out only." }),
    ),
  },
  { ...closed, description: "Speak TLS with these settings, named as Node's `tls.connect` names them." },
);

const registryUrl = Type.String({
  pattern: "^https?://[^\\s]+$",
  writeOnly: true,
  description:
    "Url of a Confluent-compatible schema registry, `http://` or `https://`, up to and including the path of its interface. May hold user and password.",
});

const registrySettings = Type.Object(
  {
    url: registryUrl,
    login: Type.Optional(
      Type.Object(
        {
          user: text("User name; goes with `password`."),
          password: secret("Password of `user`."),
          token: secret("Bearer token, instead of user and password."),
        },
        { ...closed, description: "Login of the schema registry, if the url does not hold it." },
      ),
    ),
    tls: Type.Optional(
      Type.Object(
        {
          ca: text("Certificate (PEM text) that is trusted instead of the authorities that Node brings."),
          certificate: text("Our own certificate with its chain, PEM text; goes with `key`."),
          key: secret("Key of `certificate`, PEM text."),
          server_name: text("The name that the registry's certificate must be for, where it is not the url's host."),
        },
        { ...closed, description: "TLS settings of the schema registry; its url begins with `https://`." },
      ),
    ),
  },
  { ...closed, description: "The schema registry with login and TLS settings." },
);

/** Fields that may be written in two ways: the short one (a single value) and the long one (a map). */
export const twoWays: Readonly<Record<"ssl" | "registry", { readonly short: TSchema; readonly long: TSchema }>> = {
  ssl: { short: sslSwitch, long: sslSettings },
  registry: { short: registryUrl, long: registrySettings },
};

export const topicPrefixSchema = Type.String({
  pattern: "^[A-Za-z0-9._-]{1,100}$",
  description:
    "First part of the names of the data topics, which no other pipeline of this Kafka may have. Default: the pipeline's `name`.",
});

function kafkaSchema<Ssl extends TSchema, Registry extends TSchema>(ssl: Ssl, registry: Registry) {
  return Type.Object(
    {
      brokers: Type.Array(
        Type.String({
          pattern: "^(\\[[0-9A-Fa-f:.]+\\]|[^\\s:/@,]+):[0-9]{1,5}$",
          description: "`host:port` of a broker.",
        }),
        { minItems: 1, description: "`host:port` of some brokers; the others are found by asking them." },
      ),
      ssl: Type.Optional(ssl),
      sasl: Type.Optional(
        Type.Object(
          {
            mechanism: Type.Enum(["plain", "scram-sha-256", "scram-sha-512"], {
              description: "How the password is proved; each needs `ssl` to be safe.",
            }),
            username: Type.String({ minLength: 1, description: "User of the brokers." }),
            password: Type.String({ minLength: 1, writeOnly: true, description: "Password of the user." }),
          },
          { ...closed, description: "Login of the brokers, as kafkajs names it." },
        ),
      ),
      registry,
      topic_prefix: Type.Optional(topicPrefixSchema),
      replication_factor: Type.Optional(
        Type.Integer({
          minimum: 1,
          maximum: 16,
          description: "Copies of each topic that is made. Default: 3, or as many as there are brokers.",
        }),
      ),
    },
    { ...closed, description: "The event log on Apache Kafka, with a schema registry, instead of the embedded one." },
  );
}

function logObject<Kafka extends TSchema>(kafka: Kafka) {
  return Type.Object(
    {
      directory: Type.Optional(
        Type.String({
          minLength: 1,
          default: defaultDirectory,
          description: "Directory of the embedded event log, on a local disk. Relative to the pipeline file.",
        }),
      ),
      max_size: Type.Optional(
        Type.String({
          pattern: "^[1-9][0-9]*(KiB|MiB|GiB|TiB|KB|MB|GB|TB)$",
          description:
            "Size limit of the embedded event log, such as `20GB`, 16MiB at least. At the limit capture waits until the deliveries have caught up; nothing is deleted. Default: 10GiB.",
        }),
      ),
      kafka: Type.Optional(kafka),
    },
    {
      ...closed,
      description: "The event log. Left out: an embedded one in ./datatrace-data beside the pipeline file.",
    },
  );
}

/** Schema of `log.kafka`, complete. */
export const kafkaFields: TSchema = kafkaSchema(
  { anyOf: [sslSwitch, sslSettings], description: "Whether to speak TLS, and how." },
  {
    anyOf: [registryUrl, registrySettings],
    description: "The schema registry: its url, or a map with `url`, `login` and `tls`.",
  },
);

/** Schema of `log:`, complete. */
export const logSchema: TSchema = logObject(kafkaFields);

/** The same, with `ssl` and `registry` unlooked at: each is then held against the one way in which it is written. */
export const logOutline: TSchema = logObject(
  kafkaSchema(
    Type.Unknown({ description: "true, false, or a map with TLS settings." }),
    Type.Unknown({ description: "The url of the schema registry, or a map with `url`, `login` and `tls`." }),
  ),
);

export interface SslDocument {
  readonly ca?: string;
  readonly cert?: string;
  readonly key?: string;
  readonly passphrase?: string;
  readonly servername?: string;
  readonly rejectUnauthorized?: boolean;
}

export interface RegistryDocument {
  readonly url: string;
  readonly login?: { readonly user?: string; readonly password?: string; readonly token?: string };
  readonly tls?: {
    readonly ca?: string;
    readonly certificate?: string;
    readonly key?: string;
    readonly server_name?: string;
  };
}

export interface KafkaDocument {
  readonly brokers: readonly string[];
  readonly ssl?: boolean | SslDocument;
  readonly sasl?: {
    readonly mechanism: "plain" | "scram-sha-256" | "scram-sha-512";
    readonly username: string;
    readonly password: string;
  };
  readonly registry: string | RegistryDocument;
  readonly topic_prefix?: string;
  readonly replication_factor?: number;
}

/** What a valid file holds under `log:`, before defaults. */
export interface LogDocument {
  readonly directory?: string;
  readonly max_size?: string;
  readonly kafka?: KafkaDocument;
}
