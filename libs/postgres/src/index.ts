export { PostgresRowReader } from "./row-reader.ts";
