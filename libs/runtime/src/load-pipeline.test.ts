import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { inspect } from "node:util";
import { Secret } from "@datatrace/core";
import { Type } from "typebox";
import { afterAll, describe, expect, test } from "vitest";
import type { ConnectorSchemas } from "./connector-schemas.ts";
import { loadPipeline } from "./load-pipeline.ts";

const planted = "hunter2-planted";
const postgres = {
  type: "postgres",
  configSchema: Type.Object({ url: Type.String({ writeOnly: true, minLength: 1, description: "Where it is." }) }),
};
const connectors: ConnectorSchemas = { sources: [postgres], targets: [postgres] };
const environment = { SHOP: `postgres://app:${planted}@db/shop`, BATCH: "250", EMPTY: "" };

const directory = mkdtempSync(join(tmpdir(), "datatrace-pipeline-"));
afterAll(() => {
  rmSync(directory, { recursive: true });
});

function load(text: string) {
  const file = join(directory, "pipeline.yaml");
  writeFileSync(file, text);
  return loadPipeline(file, connectors, environment);
}

const head = `name: shop
sources:
  shop: { type: postgres, url: "\${SHOP}" }
targets:
  warehouse: { type: postgres, url: "\${SHOP}" }
`;
const valid = `${head}tasks:
  orders:
    from: shop
    to: [warehouse]
    objects:
      - table: public.order_*
      - table: public.customers
        to: crm.customers
    sync:
      batch_size: \${BATCH}
      partitions: \${PARTITIONS:-5}
`;

/** The lines of the file's end, from `tasks:` on. */
function withTasks(tasks: string): string {
  return `${head}tasks:\n${tasks}`;
}

describe("a valid file", () => {
  test("gets substitutions, defaults and secrets", () => {
    const { pipeline, problems } = load(valid);
    expect(problems).toEqual([]);
    expect(pipeline?.name).toBe("shop");
    expect(pipeline?.log).toEqual({
      kind: "embedded",
      directory: join(directory, "datatrace-data"),
      maxSizeBytes: null,
    });
    expect(pipeline?.sources.get("shop")?.config["url"]).toBeInstanceOf(Secret);
    expect((pipeline!.sources.get("shop")!.config["url"] as Secret).reveal()).toBe(environment.SHOP);
    const [task] = pipeline?.tasks ?? [];
    expect(task?.mode).toBe("snapshot+stream");
    expect(task?.sync).toEqual({
      batchRows: 250,
      threads: 4,
      errorStrategy: "quarantine",
      partitions: 5,
      tableExistsStrategy: "fail",
    });
    expect(task?.objects.map(({ to, line }) => ({ to, line }))).toEqual([
      { to: null, line: 11 },
      { to: { schema: "crm", table: "customers" }, line: 12 },
    ]);
    expect(task?.objects[0]?.pattern.matches({ schema: "public", table: "order_items" })).toBe(true);
    expect(task?.objects[0]?.pattern.matches({ schema: "public", table: "orders" })).toBe(false);
  });

  test("I8: printing it shows no secret", () => {
    const { pipeline } = load(valid);
    expect(inspect(pipeline, { depth: 20 })).not.toContain(planted);
    expect(JSON.stringify(pipeline)).not.toContain(planted);
  });

  test("takes the embedded log's directory and limit", () => {
    const { pipeline } = load(`log: { directory: ./here, max_size: 2GiB }\n${valid}`);
    expect(pipeline?.log).toEqual({
      kind: "embedded",
      directory: join(directory, "here"),
      maxSizeBytes: 2 * 1024 ** 3,
    });
  });
});

describe("what is wrong is named with line, path and suggestion", () => {
  const cases: readonly (readonly [string, string, string, number, string, RegExp])[] = [
    [
      "unknown field of sync",
      `${valid}      thread_cout: 3\n`,
      "config.field_unknown",
      17,
      "tasks.orders.sync.thread_cout",
      /`thread_cout`; did you mean `thread_count`\?/,
    ],
    [
      "unknown field of a connector",
      valid.replace('url: "${SHOP}"', 'url: "${SHOP}", ulr: x'),
      "config.field_unknown",
      3,
      "sources.shop.ulr",
      /`ulr`; did you mean `url`\?/,
    ],
    [
      "unknown field at the top",
      `${valid}colour: red\n`,
      "config.field_unknown",
      17,
      "colour",
      /known here: name, log/,
    ],
    [
      "field of a later version",
      valid.replace("to: crm.customers", "where: id > 1"),
      "config.field_unknown",
      13,
      "tasks.orders.objects[1].where",
      /`where` is not in this version/,
    ],
    [
      "value of a later version",
      `${valid}      table_exists_strategy: drop\n`,
      "config.invalid",
      17,
      "tasks.orders.sync.table_exists_strategy",
      /`drop` is not in this version; use `fail` or `append`/,
    ],
    [
      "near miss of a value",
      `${valid}      error_strategy: quarantene\n`,
      "config.invalid",
      17,
      "tasks.orders.sync.error_strategy",
      /did you mean `quarantine`\?/,
    ],
    [
      "database of a later version",
      valid.replace("{ type: postgres", "{ type: mysql"),
      "config.invalid",
      3,
      "sources.shop.type",
      /`mysql` is not in this version; use `postgres`/,
    ],
    ["missing field", valid.replace("    from: shop\n", ""), "config.invalid", 7, "tasks.orders", /`from` is missing/],
    [
      "too large a number",
      `${valid}      thread_count: 65\n`,
      "config.invalid",
      17,
      "tasks.orders.sync.thread_count",
      /at most 64/,
    ],
    [
      "a text for a number",
      `${valid}      thread_count: many\n`,
      "config.invalid",
      17,
      "tasks.orders.sync.thread_count",
      /whole number/,
    ],
    ["no target", valid.replace("[warehouse]", "[]"), "config.invalid", 9, "tasks.orders.to", /at least 1 entry/],
    ["illegal name", valid.replace("name: shop", "name: Shop!"), "config.invalid", 1, "name", /Lower-case letters/],
    [
      "illegal task name",
      valid.replace("  orders:", "  Orders:"),
      "config.invalid",
      7,
      "tasks.Orders",
      /`Orders` is not legal/,
    ],
    [
      "table without schema",
      valid.replace("public.customers", "customers"),
      "config.invalid",
      12,
      "tasks.orders.objects[1].table",
      /schema\.table/,
    ],
    [
      "unknown source",
      valid.replace("from: shop", "from: shpo"),
      "config.invalid",
      8,
      "tasks.orders.from",
      /no source `shpo`; did you mean `shop`\?/,
    ],
    [
      "unknown target",
      valid.replace("[warehouse]", "[lake]"),
      "config.invalid",
      9,
      "tasks.orders.to[0]",
      /no target `lake`/,
    ],
    [
      "glob with `to`",
      valid.replace("public.customers", "public.cust*"),
      "config.invalid",
      13,
      "tasks.orders.objects[1].to",
      /glob/,
    ],
    [
      "table twice",
      valid.replace("    sync:", "      - table: public.customers\n    sync:"),
      "task.table_conflict",
      14,
      "tasks.orders.objects[2]",
      /twice/,
    ],
    [
      "same target twice",
      valid.replace("    sync:", "      - table: crm.customers\n    sync:"),
      "task.table_conflict",
      14,
      "tasks.orders.objects[2]",
      /writes `crm.customers` in the target `warehouse` twice/,
    ],
    [
      "unset variable",
      valid.replace("${BATCH}", "${NOT_SET}"),
      "config.env_missing",
      15,
      "tasks.orders.sync.batch_size",
      /NOT_SET is not set/,
    ],
    [
      "malformed reference",
      valid.replace("${BATCH}", "${NOT-SET}"),
      "config.invalid",
      15,
      "tasks.orders.sync.batch_size",
      /not of the form/,
    ],
    [
      "bad indentation",
      valid.replace("    to: [warehouse]", "   to: [warehouse]"),
      "config.invalid",
      9,
      "",
      /indentation/,
    ],
    ["duplicate field", `${valid}name: other\n`, "config.invalid", 17, "", /twice/],
    ["too small a log", `${valid}log: { max_size: 3MiB }\n`, "config.invalid", 17, "log.max_size", /at least 16MiB/],
    ["not a map", "- a\n- b\n", "config.invalid", 1, "", /The file must be a map/],
  ];
  test.each(cases)("%s", (_, text, code, line, path, message) => {
    const { pipeline, problems } = load(text);
    expect(pipeline).toBeNull();
    expect(problems.map((problem) => ({ code: problem.code, line: problem.line, path: problem.path }))).toEqual([
      { code, line, path },
    ]);
    expect(problems[0]?.message).toMatch(message);
    expect(problems[0]?.fix).not.toBe("");
  });

  test("all problems at once, in the order of their lines", () => {
    const { problems } = load(`${valid.replace("from: shop", "form: shop")}      batchSize: 3\n`);
    expect(problems.map(({ line, path }) => `${line} ${path}`)).toEqual([
      "7 tasks.orders",
      "8 tasks.orders.form",
      "17 tasks.orders.sync.batchSize",
    ]);
  });

  test("a file that is not there", () => {
    const { pipeline, problems } = loadPipeline(join(directory, "none.yaml"), connectors, environment);
    expect(pipeline).toBeNull();
    expect(problems).toMatchObject([{ code: "config.file_missing", message: expect.stringContaining("ENOENT") }]);
  });
});

describe("two tasks", () => {
  test("with the same target table", () => {
    const { problems } = load(
      valid + "  other:\n    from: shop\n    to: [warehouse]\n    objects: [{ table: crm.customers }]\n",
    );
    expect(problems).toMatchObject([{ code: "task.table_conflict", line: 20, path: "tasks.other.objects[0]" }]);
  });

  test("with the same source table and other partitions", () => {
    const text = withTasks(
      `  one: { from: shop, to: [warehouse], objects: [{ table: public.a* }] }\n` +
        `  two: { from: shop, to: [warehouse], objects: [{ table: public.ab, to: x.y }], sync: { partitions: 9 } }\n`,
    );
    expect(load(text).problems).toMatchObject([
      { code: "task.table_conflict", line: 8, message: expect.stringContaining("partitions") },
    ]);
  });

  test("with other modes on one source", () => {
    const text = withTasks(
      `  one: { from: shop, to: [warehouse], objects: [{ table: public.a }] }\n` +
        `  two: { from: shop, to: [warehouse], objects: [{ table: public.b }], mode: stream }\n`,
    );
    expect(load(text).problems).toMatchObject([{ code: "task.table_conflict", line: 8, path: "tasks.two.mode" }]);
  });

  test("that have nothing in common", () => {
    const text = withTasks(
      `  one: { from: shop, to: [warehouse], objects: [{ table: public.a }] }\n` +
        `  two: { from: shop, to: [warehouse], objects: [{ table: public.b }] }\n`,
    );
    expect(load(text).problems).toEqual([]);
  });
});

describe("I8: secrets of the file", () => {
  test("a password in plain text is a warning, without the password", () => {
    const { pipeline, problems } = load(
      valid.replace(
        'warehouse: { type: postgres, url: "${SHOP}" }',
        `warehouse: { type: postgres, url: "${environment.SHOP}" }`,
      ),
    );
    expect(pipeline).not.toBeNull();
    expect(problems).toMatchObject([
      { severity: "warning", code: "config.secret_in_file", line: 5, path: "targets.warehouse.url" },
    ]);
    expect(JSON.stringify(problems)).not.toContain(planted);
  });

  test("a url without a password is none", () => {
    const { problems } = load(valid.replace('"${SHOP}"', "postgres://app@db:5432/shop"));
    expect(problems).toEqual([]);
  });

  const misplaced: readonly (readonly [string, string])[] = [
    ["as a mode", valid.replace("    from: shop", `    from: shop\n    mode: ${planted}`)],
    ["as a field's name", valid.replace("name: shop", `name: shop\n"postgres://app:${planted}@db/shop":`)],
    ["as a source's name", valid.replace("  shop:", `  "postgres://app:${planted}@db": `)],
    ["in malformed YAML", valid.replace("name: shop", `name: "shop\nurl: postgres://app:${planted}@db/shop`)],
    ["as a number", valid.replace("${BATCH}", "${SHOP}")],
    ["as a table", valid.replace("public.customers", "${SHOP}")],
    ["as an alias", valid.replace("name: shop", `name: *${planted}`)],
  ];
  test.each(misplaced)("in the wrong place %s, they are not repeated", (_, text) => {
    const { pipeline, problems } = load(text);
    expect(pipeline).toBeNull();
    expect(problems).not.toEqual([]);
    expect(JSON.stringify(problems)).not.toContain(planted);
  });
});
