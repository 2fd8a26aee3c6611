import { nextLogLevel } from "@datatrace/runtime";
import type { StructuredLogger } from "@datatrace/runtime";

/** SIGUSR2 goes on to the next level, while the process runs. */
export function levelSwitch(logger: StructuredLogger): Disposable {
  const next = (): void => {
    logger.level = nextLogLevel(logger.level);
    logger.info("log level changed", { to: logger.level });
  };
  process.on("SIGUSR2", next);
  return { [Symbol.dispose]: () => process.off("SIGUSR2", next) };
}
