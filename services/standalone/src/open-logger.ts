import { readableLogLine, StructuredLogger } from "@datatrace/runtime";
import type { LogLevel } from "@datatrace/runtime";
import type { Output } from "./output.ts";
import type { Screen } from "./screen.ts";

/** The log of this process on the standard error output: JSON lines, or on a terminal (without `--json`) readable ones. */
export function openLogger(level: LogLevel, output: Output, screen: Screen): StructuredLogger {
  const { stderr } = output.streams;
  const readable = stderr.isTTY === true && !output.json;
  return StructuredLogger.open({
    level,
    destination: {
      write(line: string) {
        if (readable) screen.print(stderr, readableLogLine(line, true));
        else stderr.write(line);
      },
    },
  });
}
