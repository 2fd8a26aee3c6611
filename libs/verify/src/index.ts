export { compareTables } from "./compare-tables.ts";
export type { CompareOptions, TableComparison } from "./compare-tables.ts";
