import { Type } from "typebox";
import type { Static, TSchema } from "typebox";
import type { ConnectorSchema, ConnectorSchemas, ObjectSchema } from "./connector-schemas.ts";
import { logOutline, logSchema, topicPrefixSchema } from "./log-schema.ts";
import type { LogDocument } from "./log-schema.ts";

/** Names that become parts of topics, slots, publications and metric labels. */
export const namePattern = "^[a-z][a-z0-9_-]{0,39}$";
const nameText = "Lower-case letters, digits, `_` and `-`, beginning with a letter, at most 40 characters.";

/** What a field has when the file leaves it out. */
export const defaults = {
  mode: "snapshot+stream",
  batch_size: 1000,
  thread_count: 4,
  error_strategy: "quarantine",
  partitions: 3,
  table_exists_strategy: "fail",
} as const;

const closed = { additionalProperties: false } as const;

const tableText =
  "`schema.table`, exact and case-sensitive; `*` stands for any run of characters and `?` for one, not across the dot.";

const objectSchema = Type.Object(
  {
    table: Type.String({ pattern: "^[^.]+\\.[^.].*$", description: tableText }),
    to: Type.Optional(
      Type.String({
        pattern: "^[^.*?]+\\.[^.*?][^*?]*$",
        description: "`schema.table` in the target, if it is to have another name there. Only with an exact `table`.",
      }),
    ),
  },
  { ...closed, description: "A table, or all tables that a glob matches (those created later too)." },
);

const syncSchema = Type.Object(
  {
    batch_size: Type.Optional(
      Type.Integer({
        minimum: 1,
        maximum: 100_000,
        default: defaults.batch_size,
        description: "Rows that a target applies at once.",
      }),
    ),
    thread_count: Type.Optional(
      Type.Integer({
        minimum: 1,
        maximum: 64,
        default: defaults.thread_count,
        description: "Chunks snapshotted, and partitions applied, at once.",
      }),
    ),
    error_strategy: Type.Optional(
      Type.Enum(["pause", "skip", "skip_row", "quarantine"], {
        default: defaults.error_strategy,
        description:
          "What to do with a row that the target refuses for good. `pause`: stop the task, offset kept. `skip`: stop the table, the others go on. " +
          "`skip_row`: record the row and go on. `quarantine`: park the row and every later change of its key, and go on.",
      }),
    ),
    partitions: Type.Optional(
      Type.Integer({
        minimum: 1,
        maximum: 256,
        default: defaults.partitions,
        description: "Partitions of a table's topic. Order is per key; cannot be changed later.",
      }),
    ),
    table_exists_strategy: Type.Optional(
      Type.Enum(["fail", "append"], {
        default: defaults.table_exists_strategy,
        description:
          "What to do when a target table is there already. `fail`: stop before anything is written. `append`: use it, and add columns that it lacks.",
      }),
    ),
  },
  closed,
);

const taskSchema = Type.Object(
  {
    from: Type.String({ pattern: namePattern, description: "An entry of `sources`." }),
    to: Type.Array(Type.String({ pattern: namePattern }), {
      minItems: 1,
      uniqueItems: true,
      description: "Entries of `targets`.",
    }),
    mode: Type.Optional(
      Type.Enum(["snapshot", "stream", "snapshot+stream"], {
        default: defaults.mode,
        description:
          "`snapshot`: the rows that are there now. `stream`: changes from now on. `snapshot+stream`: both, without a gap.",
      }),
    ),
    objects: Type.Array(objectSchema, { minItems: 1, description: "Tables of the source." }),
    sync: Type.Optional(syncSchema),
  },
  closed,
);

const nameSchema = Type.String({
  pattern: namePattern,
  description: `Names the pipeline in topics, replication slots and metrics; another name is another pipeline. ${nameText}`,
});

const taskMapSchema = entries(taskSchema, "What to copy, by name. The name is part of the delivery's stored progress.");

export type TaskDocument = Static<typeof taskSchema>;

/** What a valid file holds, before defaults. The fields of a connector are its own. */
export interface PipelineDocument {
  readonly name: string;
  readonly log?: LogDocument;
  readonly sources: Readonly<Record<string, EndpointDocument>>;
  readonly targets: Readonly<Record<string, EndpointDocument>>;
  readonly tasks: Readonly<Record<string, TaskDocument>>;
}

export interface EndpointDocument {
  readonly type: string;
  readonly [field: string]: unknown;
}

/** The schema of a pipeline file, with one alternative per connector: what `schema` prints and editors read. */
export function pipelineSchema(connectors: ConnectorSchemas): object {
  const root = pipelineObject(
    logSchema,
    oneOf(connectors.sources.map(endpointSchema)),
    oneOf(connectors.targets.map(endpointSchema)),
  );
  return {
    $schema: "http://json-schema.org/draft-07/schema#",
    title: "DataTrace pipeline file",
    ...root,
  };
}

/**
 * The same file with entries of which only `type` is looked at: each is then held against its own connector's schema. What
 * may be written in two ways is held against the schema of its way likewise.
 */
export function outlineSchema(connectors: ConnectorSchemas): TSchema {
  return pipelineObject(logOutline, outline(connectors.sources), outline(connectors.targets));
}

/** A part of a pipeline as a spec holds it: with the sources or the targets that it is about, and never a log. */
export function specSchema(connectors: ConnectorSchemas): TSchema {
  return Type.Object(
    {
      name: nameSchema,
      topic_prefix: topicPrefixSchema,
      sources: Type.Optional(entries(outline(connectors.sources), "The source of a capture.")),
      targets: Type.Optional(entries(outline(connectors.targets), "The target of a delivery.")),
      tasks: taskMapSchema,
    },
    closed,
  );
}

function outline(known: readonly ConnectorSchema[]): TSchema {
  return Type.Object({ type: Type.Enum(known.map(({ type }) => type)) }, { additionalProperties: true });
}

/** Schema of one entry under `sources` or `targets`. */
export function endpointSchema(connector: ConnectorSchema): TSchema {
  const config = connector.configSchema as ObjectSchema;
  return {
    ...config,
    type: "object",
    properties: { type: { const: connector.type, description: "The kind of database." }, ...config.properties },
    required: ["type", ...(config.required ?? [])],
    additionalProperties: false,
  };
}

function pipelineObject(log: TSchema, source: TSchema, target: TSchema): TSchema {
  return Type.Object(
    {
      name: nameSchema,
      log: Type.Optional(log),
      sources: entries(source, "Databases to capture from, by name."),
      targets: entries(target, "Databases to deliver to, by name."),
      tasks: taskMapSchema,
    },
    closed,
  );
}

function entries<Entry extends TSchema>(entry: Entry, description: string) {
  return Type.Record(Type.String({ pattern: namePattern }), entry, { ...closed, minProperties: 1, description });
}

function oneOf(schemas: readonly TSchema[]): TSchema {
  const [only, ...others] = schemas;
  return only !== undefined && others.length === 0 ? only : { anyOf: schemas };
}
