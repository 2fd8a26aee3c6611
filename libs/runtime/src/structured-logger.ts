import type { LogFields, Logger } from "@datatrace/core";
import { pino } from "pino";
import type { DestinationStream } from "pino";
import { printableFields } from "./log-fields.ts";
import type { LogLevel } from "./log-level.ts";

export interface LoggerOptions {
  readonly level: LogLevel;
  /** Gets whole lines of JSON, each with its line break. */
  readonly destination: DestinationStream;
}

/** The log of one process: JSON lines, with a level that can be changed at any time, for every `with` at once. */
export class StructuredLogger implements Logger {
  readonly #root: pino.Logger;
  readonly #fields: LogFields;

  private constructor(root: pino.Logger, fields: LogFields) {
    this.#root = root;
    this.#fields = fields;
  }

  static open({ level, destination }: LoggerOptions): StructuredLogger {
    const root = pino(
      {
        level,
        base: null,
        messageKey: "event",
        timestamp: () => `,"time":"${new Date().toISOString()}"`,
        formatters: { level: (label) => ({ level: label }) },
      },
      destination,
    );
    return new StructuredLogger(root, {});
  }

  get level(): LogLevel {
    return this.#root.level as LogLevel;
  }

  set level(level: LogLevel) {
    this.#root.level = level;
  }

  debug(event: string, fields?: LogFields): void {
    this.#write("debug", event, fields);
  }

  info(event: string, fields?: LogFields): void {
    this.#write("info", event, fields);
  }

  warn(event: string, fields?: LogFields): void {
    this.#write("warn", event, fields);
  }

  error(event: string, fields?: LogFields): void {
    this.#write("error", event, fields);
  }

  /** Not a child of pino's: those keep the level they were made with. */
  with(fields: LogFields): StructuredLogger {
    return new StructuredLogger(this.#root, { ...this.#fields, ...fields });
  }

  #write(level: LogLevel, event: string, fields: LogFields | undefined): void {
    if (!this.#root.isLevelEnabled(level)) return;
    this.#root[level](printableFields({ ...this.#fields, ...fields }), event);
  }
}
