/** From quiet to talkative. */
export const logLevels = ["error", "warn", "info", "debug"] as const;

export type LogLevel = (typeof logLevels)[number];

export function isLogLevel(text: unknown): text is LogLevel {
  return (logLevels as readonly unknown[]).includes(text);
}

/** The one after it, and from the last back to the first: what SIGUSR2 does. */
export function nextLogLevel(level: LogLevel): LogLevel {
  return logLevels[(logLevels.indexOf(level) + 1) % logLevels.length] ?? "info";
}
