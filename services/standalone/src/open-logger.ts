import { readableLogLine, StructuredLogger } from "@datatrace/runtime";
import type { LogLevel } from "@datatrace/runtime";
import type { Output } from "./output.ts";

/** The log of this process on the standard error output: JSON lines, or on a terminal (without `--json`) readable ones. */
export function openLogger(level: LogLevel, { json, screen, streams }: Output): StructuredLogger {
  const { stderr } = streams;
  const readable = stderr.isTTY === true && !json;
  return StructuredLogger.open({
    level,
    destination: {
      write(line: string) {
        if (readable) screen.print(stderr, readableLogLine(line.trimEnd(), true));
        else stderr.write(line);
      },
    },
  });
}
