import type { TableName } from "@datatrace/core";
import { escapeIdentifier, escapeLiteral } from "pg";

/** `"name"`, with quotes doubled: any name that PostgreSQL allows, exactly as it is stored in the catalog. */
export function quoteName(name: string): string {
  return escapeIdentifier(name);
}

/** `"schema"."table"`. */
export function quoteTable(table: TableName): string {
  return `${escapeIdentifier(table.schema)}.${escapeIdentifier(table.table)}`;
}

/** A text literal for statements that take no parameters (COPY, DDL, replication commands). */
export function quoteText(text: string): string {
  return escapeLiteral(text).trimStart();
}
