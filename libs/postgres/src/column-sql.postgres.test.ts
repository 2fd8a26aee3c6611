import { Secret } from "@datatrace/core";
import type { Column } from "@datatrace/core";
import { availablePostgres, testPostgres } from "@datatrace/testkit";
import { describe, expect, test } from "vitest";
import { readCatalog } from "./catalog.ts";
import { columnEnum, columnSql } from "./column-sql.ts";
import { parseConnectionUrl } from "./connection-settings.ts";
import { quoteText } from "./identifier.ts";
import { typeTable } from "./native-type.ts";
import { connect } from "./session.ts";
import { tableShape } from "./table-shape.ts";

const sized = [
  "varchar(7)",
  "char(3)",
  "numeric(9,4)",
  "numeric(9)",
  "time(2)",
  "timestamp(0)",
  "timestamptz(3)",
  '"Mood 1"',
];
const types = [...typeTable.map((entry) => entry.name), ...sized];
const columns = [...types, ...types.map((type) => `${type}[]`)];

describe.each(await availablePostgres())("PostgreSQL %i", (major) => {
  test("a column is made again with the very same type, whatever the search path", async () => {
    await using server = await testPostgres(major);
    const session = await connect(parseConnectionUrl(new Secret(await server.createDatabase())), {
      applicationName: "ddl",
    });
    const negative = major >= 15 ? ["numeric(3,-2)", "numeric(2,5)"] : [];
    const all = [...columns, ...negative];
    await session.query(`CREATE TYPE "Mood 1" AS ENUM ('a', 'it''s')`);
    await session.query(
      `CREATE TABLE one (id int PRIMARY KEY, ${all.map((type, index) => `c${index} ${type}${index % 2 === 0 ? " NOT NULL" : ""}`).join(", ")})`,
    );
    const shape = async (table: string): Promise<readonly Column[]> => {
      const catalog = await readCatalog(session, [{ schema: "public", table }]);
      const { schema, findings } = tableShape(catalog.tables[0]!, catalog);
      expect(findings).toEqual([]);
      return schema.columns;
    };
    const first = await shape("one");
    expect(first).toHaveLength(all.length + 1);
    // As it comes out of the log: without what only the source knows.
    const copied = first.map(({ name, type, native, nullable }) => ({ name, type, native, nullable }));
    const needed = new Map(copied.flatMap((column) => columnEnum(column) ?? []).map((one) => [one.name, one.values]));
    expect([...needed]).toEqual([["Mood 1", ["a", "it's"]]]);
    await session.query(
      `DROP TABLE one; DROP TYPE "Mood 1"; CREATE SCHEMA "kept types"; SET search_path = "kept types"`,
    );
    for (const [name, values] of needed) {
      await session.query(
        `CREATE TYPE "kept types"."${name}" AS ENUM (${values.map((value) => quoteText(value)).join(",")})`,
      );
    }
    await session.query(
      `CREATE TABLE public.two (${copied.map((column) => columnSql(column, "kept types")).join(", ")})`,
    );
    const second = await shape("two");
    expect(second.map(({ name, type, native, nullable }) => ({ name, type, native, nullable }))).toEqual(copied);
    await session.end();
  });

  test("a type of another database becomes the one that holds its values", async () => {
    await using server = await testPostgres(major);
    const session = await connect(parseConnectionUrl(new Secret(await server.createDatabase())), {
      applicationName: "ddl",
    });
    const foreign: readonly (readonly [Column["type"], string])[] = [
      [{ kind: "boolean" }, "boolean"],
      [{ kind: "int16" }, "smallint"],
      [{ kind: "int32" }, "integer"],
      [{ kind: "int64" }, "bigint"],
      [{ kind: "float32" }, "real"],
      [{ kind: "float64" }, "double precision"],
      [{ kind: "decimal" }, "numeric"],
      [{ kind: "decimal", precision: 12, scale: 3 }, "numeric(12,3)"],
      [{ kind: "string" }, "text"],
      [{ kind: "string", length: 9 }, "character varying(9)"],
      [{ kind: "bytes" }, "bytea"],
      [{ kind: "date" }, "date"],
      [{ kind: "time", precision: 3 }, "time(3) without time zone"],
      [{ kind: "timestamp", precision: 6 }, "timestamp(6) without time zone"],
      [{ kind: "timestamptz", precision: 0 }, "timestamp(0) with time zone"],
      [{ kind: "uuid" }, "uuid"],
      [{ kind: "json" }, "json"],
      [{ kind: "array", element: { kind: "decimal", precision: 5, scale: 1 } }, "numeric(5,1)[]"],
    ];
    // The same name means something else elsewhere: MySQL's `float`, a `date` with a time.
    const list = foreign.map(([type], index) =>
      columnSql({ name: `c${index}`, type, native: { name: "date" }, nullable: true }, "public"),
    );
    await session.query(`CREATE TABLE t (${list.join(", ")})`);
    const made = await session.query<{ type: string }>(
      "SELECT format_type(atttypid, atttypmod) AS type FROM pg_attribute WHERE attrelid = 't'::regclass AND attnum > 0 ORDER BY attnum",
    );
    expect(made.rows.map((row) => row.type)).toEqual(foreign.map(([, sql]) => sql));
    await session.end();
  });
});
