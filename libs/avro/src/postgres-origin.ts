/** The source block of PostgreSQL for tests. Nothing here is used at run time. */
import type { ChangeOrigin, SourceDescriptor } from "@datatrace/core";

export const postgresDescriptor: SourceDescriptor = {
  connector: "postgresql",
  database: "shop",
  fields: [
    { name: "schema", type: "string" },
    { name: "table", type: "string" },
    { name: "txId", type: "nullable-long" },
    { name: "lsn", type: "nullable-long" },
    { name: "xmin", type: "nullable-long" },
    { name: "origin", type: "nullable-string" },
    { name: "origin_lsn", type: "nullable-long" },
  ],
};

export const postgresOrigin: ChangeOrigin = {
  tsUs: 1_767_323_045_678_901,
  sequence: '["24023119","24023128"]',
  fields: ["public", "orders", 571, 24_023_128, null, null, null],
};
