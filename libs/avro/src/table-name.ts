import type { TableName } from "@datatrace/core";

/** The last two parts of an Avro namespace: `shop.public.orders` is table `orders` of schema `public`. */
export function tableNameOf(namespace: string): TableName {
  const parts = namespace.split(".");
  const table = parts.at(-1) ?? "";
  return { schema: parts.length > 1 ? (parts.at(-2) ?? "") : "", table };
}
