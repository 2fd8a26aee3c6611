import { pipelineSchema } from "@datatrace/runtime";
import type { ConnectorSchemas } from "@datatrace/runtime";
import { commandNames, commands, options } from "./commands-table.ts";
import type { OptionName } from "./commands-table.ts";
import { usageOf } from "./command-line.ts";
import { serviceVariables } from "./service/service-variables.ts";

interface Described {
  readonly description?: string;
  readonly type?: string;
  readonly const?: string;
  readonly enum?: readonly string[];
  readonly default?: string | number;
  readonly minimum?: number;
  readonly maximum?: number;
  readonly properties?: Readonly<Record<string, Described>>;
  readonly patternProperties?: Readonly<Record<string, Described>>;
  readonly items?: Described;
  readonly anyOf?: readonly Described[];
  readonly required?: readonly string[];
}

interface Row {
  readonly path: string;
  readonly field: Described;
  readonly required: boolean;
}

function rowsOf(schema: Described, prefix: string): readonly Row[] {
  const own = Object.entries(schema.properties ?? {}).flatMap(([name, field]) => {
    const path = prefix === "" ? name : `${prefix}.${name}`;
    return [{ path, field, required: schema.required?.includes(name) === true }, ...rowsOf(field, path)];
  });
  const named = Object.values(schema.patternProperties ?? {}).flatMap((field) => rowsOf(field, `${prefix}.NAME`));
  const items = schema.items === undefined ? [] : rowsOf(schema.items, `${prefix}[]`);
  const alternatives = (schema.anyOf ?? []).flatMap((field) => rowsOf(field, prefix));
  return [...own, ...named, ...items, ...alternatives];
}

function valueText(field: Described): string {
  if (field.const !== undefined) return `\`${field.const}\``;
  if (field.enum !== undefined) return field.enum.map((value) => `\`${value}\``).join(", ");
  if (field.anyOf !== undefined) return field.anyOf.map((way) => valueText(way)).join(" or ");
  if (field.minimum !== undefined) return `${field.minimum} to ${field.maximum}`;
  return (
    { string: "text", object: "map", array: "list", integer: "number", boolean: "true, false" }[field.type ?? ""] ?? ""
  );
}

function defaultText({ field, required }: Row): string {
  if (field.default !== undefined) return `\`${String(field.default)}\``;
  return required ? "required" : "";
}

function cell(text: string): string {
  return text.replaceAll("|", "\\|");
}

function optionRow(name: OptionName): string {
  const { value, env, help } = options[name];
  return `| \`--${name}${value === null ? "" : ` ${cell(value)}`}\` | ${env === null ? "" : `\`${env}\``} | ${help} |`;
}

/** The page about the pipeline file and the command line, as `docs/configuration.md` has to be. */
export function configurationPage(connectors: ConnectorSchemas): string {
  const rows = rowsOf(pipelineSchema(connectors), "");
  return `# The pipeline file and the command line

This page is generated from the schema and the command table by \`npm run fix\`. The schema itself is
\`schemas/pipeline.schema.json\`; an editor completes the file when its first line is
\`# yaml-language-server: $schema=…/schemas/pipeline.schema.json\`.

\`\`\`yaml
name: shop
sources:
  shop: { type: postgres, url: "\${SHOP_DATABASE_URL}" }
targets:
  warehouse: { type: postgres, url: "\${WAREHOUSE_DATABASE_URL}" }
tasks:
  orders:
    from: shop
    to: [warehouse]
    objects:
      - table: public.order_*
      - table: public.customers
        to: crm.customers
\`\`\`

## Fields

| field | value | default | meaning |
|---|---|---|---|
${rows
  .map(
    (row) =>
      `| \`${row.path}\` | ${valueText(row.field)} | ${defaultText(row)} | ${cell(row.field.description ?? "")} |`,
  )
  .join("\n")}

- \`\${NAME}\` in a value is replaced by the environment variable, \`\${NAME:-default}\` by the default when it is not set or
  empty; \`$\${\` is a plain \`\${\`. A variable that is missing is an error. What is replaced can never change the structure of the file.
- A password that stands in the file itself is a warning. Secrets appear in no output.
- Any other field is refused by name, with its line and a suggestion.
- A table is taken by the exact name that stands in the task, else by the first glob that matches. Two tasks cannot write the
  same table of a target, and tasks that share a source have one \`mode\`.
- Renaming the pipeline, a source, a task or a target makes a new one, which begins afresh; decommission the old one first.

## The log on Kafka

\`\`\`yaml
log:
  kafka:
    brokers: [kafka-1:9092, kafka-2:9092]
    ssl: true
    sasl: { mechanism: scram-sha-512, username: datatrace, password: "\${KAFKA_PASSWORD}" }
    registry: { url: "https://registry.example:8081", login: { user: datatrace, password: "\${REGISTRY_PASSWORD}" } }
\`\`\`

- Every process of the pipeline has the same file. \`run --only capture\` and \`run --only sink\` are then services of their
  own; further replicas of the sink share its partitions, and a further capture takes over from the one before.
- Where many pipelines share machines, let services run them: see [Services alone](#services-alone).
- The topics are \`PREFIX.SCHEMA.TABLE\`, compacted topics \`datatrace.capture.PIPELINE.SOURCE.position\` and \`.state\`, and three that
  all pipelines of a Kafka share: \`datatrace.topics\`, \`datatrace.groups\` and \`datatrace.control.rereads\`. Consumer groups are named
  \`PIPELINE.TASK.TARGET\`, so Kafka's own tools show their lag.
- The size limit and its metrics belong to the embedded log; on Kafka the brokers have theirs.

## Services alone

\`services/capture-postgres/src/main.ts [FILE]\` and \`services/sink-postgres/src/main.ts [FILE]\`, each started by
\`node deploy/with-node.mjs\`, run captures and deliveries of any number of pipelines over one Kafka, in as many replicas as
wanted. What they run stands in two compacted topics, \`datatrace.control.captures\` and \`datatrace.control.deliveries\`: a record per capture or delivery, a part of a
pipeline file with its secrets sealed. With FILE a service first writes there what the file says about its own kind; without, it
takes what is there, and the log comes from the environment.

| variable | meaning |
|---|---|
${serviceVariables()
  .map(({ name, meaning }) => `| \`${name}\` | ${cell(meaning)} |`)
  .join("\n")}

- An argument (\`--host\`, \`--port\`, \`--log-level\`) wins over its variable. With FILE the log is that of the file, and
  \`DATATRACE_KAFKA_…\` is not looked at.
- A capture runs in one replica: replicas share the 16 partitions of the topic of captures as a consumer group
  (\`datatrace.control.captures.postgres\`), and who owns a partition runs what belongs to it. A replica that ends hands over at
  once; one that dies is replaced after 10 s. Further replicas stand by, and are ready. A delivery runs in every replica, and its
  group shares the partitions of its tables among them: each replica adds throughput.
- A spec that is written anew is run anew by whoever runs it. A spec that is not in the file any more goes on, with a warning.
- \`decommission FILE\` asks the owners: the state of the specs becomes \`removed\`, each owner stops what runs, removes slot,
  publication, topics, group and helper rows, and says \`decommissioned\` in \`datatrace.control.status\`; then the specs go. Without
  a sign of a service for 30 s the command removes everything itself. A service that is started with the file again begins afresh.
- To change a key, put a new one before the old one in every service; a service that is started with FILE seals its specs
  anew. When all are, take the old one out.
- What fails for a reason that a person must mend is tried again every 30 s; the others go on. A capture that is taken
  over three times in a minute by somebody outside the group stops with \`log.two_owners\`.
- A service has its log on the standard error output and an error that ends it on the standard output, both as JSON lines;
  on a terminal both are to be read. Exit codes: 0 after SIGTERM, 1 failed, 2 wrong usage, file or environment.
- Its metrics have the label \`pipeline\` beside those of a \`run\`.

## Commands

\`npm start -- COMMAND\`, or the \`datatrace\` bin.

| command | does |
|---|---|
${commandNames.map((name) => `| \`${cell(usageOf(name))}\` | ${commands[name].help} |`).join("\n")}

| option | environment | meaning |
|---|---|---|
${(Object.keys(options) as OptionName[]).map((name) => optionRow(name)).join("\n")}

- Results go to the standard output, the log to the standard error output. With \`--json\` both are JSON lines; an error is a
  line \`{"event":"error","level":"error","code":…,"message":…,"fix":…}\` among the results.
- Exit codes: 0 done, 1 the task failed or differs, 2 wrong usage or file, 130 interrupted. SIGTERM is the ordinary end of a
  \`run\` (0); it interrupts a \`run --until-caught-up\` and the other commands (143).
- \`run\` ends within 10 s of the first SIGTERM or Ctrl-C; an append or transaction that is under way is completed, and what
  is not stored is read again by the next run. A second signal ends it at once, which loses nothing either.
- Two runs of a pipeline: the newer one takes over the captures, the older ends with \`log.fenced\` and exit code 1.
  Deliveries are shared among the processes that run them.
- A part that fails for good ends alone; the run ends (1) when no capture or no delivery is left, or when another process
  has taken over. Parts that lose a connection try again for ever; \`--until-caught-up\` gives up when one has tried for 30 s.
- \`run --until-caught-up\` exits with 1 when a table has stopped or a row is in quarantine.
- \`--only sink --until-caught-up\` delivers what the log held when it started.
- \`decommission\` takes the captures' writers away from a run that is still alive, which ends with \`log.fenced\`. A
  delivery that still runs (\`run --only sink\`, or any run with \`decommission --delivery\`) is waited for 15 s, then the
  error is \`log.group_in_use\`, and nothing of that delivery has been removed.

## Health, metrics, log level

While \`run\` or a service runs it answers on \`http://127.0.0.1:7171\` (its log says where):

| request | answer |
|---|---|
| \`GET /health/live\` | 200 while the process answers |
| \`GET /health/ready\` | 200 when all parts run and none has been retrying for more than 30 s, else 503; the parts with their errors |
| \`GET /metrics\` | metrics in the text format of Prometheus |
| \`GET /log-level\`, \`PUT /log-level\` \`{"level":"debug"}\` | the log level; to be changed from this machine only |

SIGUSR2 changes the level too: info, debug, error, warn, and round again.
`;
}
