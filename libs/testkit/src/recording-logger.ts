import type { LogFields, Logger } from "@datatrace/core";

export type LogLevel = "debug" | "info" | "warn" | "error";

export interface LogLine {
  readonly level: LogLevel;
  readonly event: string;
  readonly fields: LogFields;
}

function plain(_key: string, value: unknown): unknown {
  if (typeof value === "bigint") return value.toString();
  if (value instanceof Error)
    return { name: value.name, message: value.message, stack: value.stack, cause: value.cause };
  return value;
}

/** A logger that keeps its lines, for tests to look at. */
export class RecordingLogger implements Logger {
  readonly #lines: LogLine[];
  readonly #fields: LogFields;

  constructor(lines: LogLine[] = [], fields: LogFields = {}) {
    this.#lines = lines;
    this.#fields = fields;
  }

  /** Everything logged here and through loggers made by `with`, in order. */
  get lines(): readonly LogLine[] {
    return this.#lines;
  }

  /** Lines of one event. */
  of(event: string): readonly LogLine[] {
    return this.#lines.filter((line) => line.event === event);
  }

  /** All of it as JSON lines, errors with their causes: what a search for planted values goes through (I8). */
  text(): string {
    return this.#lines.map(({ level, event, fields }) => JSON.stringify({ level, event, ...fields }, plain)).join("\n");
  }

  debug(event: string, fields?: LogFields): void {
    this.#keep("debug", event, fields);
  }

  info(event: string, fields?: LogFields): void {
    this.#keep("info", event, fields);
  }

  warn(event: string, fields?: LogFields): void {
    this.#keep("warn", event, fields);
  }

  error(event: string, fields?: LogFields): void {
    this.#keep("error", event, fields);
  }

  with(fields: LogFields): RecordingLogger {
    return new RecordingLogger(this.#lines, { ...this.#fields, ...fields });
  }

  #keep(level: LogLevel, event: string, fields: LogFields = {}): void {
    this.#lines.push({ level, event, fields: { ...this.#fields, ...fields } });
  }
}
