/** Cells and secrets never go in here (I8): names, counts, positions, codes. */
export type LogFields = Readonly<Record<string, unknown>>;

/** Structured log: a lower-case event, then fields. `info` at start, stop and change of state only; the normal path is metrics. */
export interface Logger {
  debug(event: string, fields?: LogFields): void;
  info(event: string, fields?: LogFields): void;
  warn(event: string, fields?: LogFields): void;
  error(event: string, fields?: LogFields): void;
  /** The same log with these fields on every line. */
  with(fields: LogFields): Logger;
}
