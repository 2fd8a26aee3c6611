import { DataTraceError, errorTable } from "@datatrace/core";
import type { ErrorCode } from "@datatrace/core";
import { Screen } from "./screen.ts";
import type { OutputStreams } from "./screen.ts";

/** A message for a person with its code and its fix, as errors, findings and problems of a file are. */
export interface Notice {
  readonly severity: "error" | "warning" | "info";
  readonly code: ErrorCode;
  readonly message: string;
  readonly fix: string;
  /** Such as `pipeline.yaml:12 tasks.orders.sync`, or the name of a table. */
  readonly at?: string;
}

/** Results go to the standard output, as text or as JSON lines; errors as text to the other one, as JSON with the results. */
export class Output {
  readonly json: boolean;
  readonly streams: OutputStreams;
  /** Where a picture may be drawn: lines go above it. */
  readonly screen: Screen;

  constructor(json: boolean, streams: OutputStreams) {
    this.json = json;
    this.streams = streams;
    this.screen = new Screen(streams.stdout);
  }

  /** A line of text, which `--json` leaves out. */
  say(line: string): void {
    if (!this.json) this.screen.print(this.streams.stdout, line);
  }

  /** A line that is the result itself, with `--json` and without. */
  line(text: string): void {
    this.screen.print(this.streams.stdout, text);
  }

  /** A JSON line, which is there with `--json` only. */
  record(event: string, fields: Readonly<Record<string, unknown>>): void {
    if (this.json) this.streams.stdout.write(`${JSON.stringify({ event, ...fields }, printBigint)}\n`);
  }

  notice(notice: Notice): void {
    const { severity, code, message, fix, at } = notice;
    if (this.json) {
      const event = severity === "error" ? "error" : "finding";
      const level = severity === "warning" ? "warn" : severity;
      this.record(event, { level, code, message, fix, ...(at === undefined ? {} : { at }) });
      return;
    }
    const where = at === undefined ? "" : `  at ${at}\n`;
    this.screen.print(this.streams.stderr, `${severity} ${code}: ${message}\n${where}  fix: ${fix}`);
  }
}

function printBigint(_: string, value: unknown): unknown {
  return typeof value === "bigint" ? value.toString() : value;
}

/** Any error as a notice. What is not ours is a bug, and its text stays out: a driver's can hold cell values (I8). */
export function noticeOf(error: unknown): Notice {
  if (error instanceof DataTraceError) {
    return { severity: "error", code: error.code, message: error.message, fix: error.fix };
  }
  const { means, fix } = errorTable["internal.bug"];
  return { severity: "error", code: "internal.bug", message: means, fix };
}
