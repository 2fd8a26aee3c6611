const colours: Readonly<Record<string, string>> = { debug: "\u001B[2m", warn: "\u001B[33m", error: "\u001B[31m" };
const reset = "\u001B[0m";

/** A JSON log line as a person reads it on a terminal: `12:30:01 warn  event  name=value …`. */
export function readableLogLine(line: string, colour: boolean): string {
  const { time, level, event, ...fields } = JSON.parse(line) as Record<string, unknown>;
  const clock = typeof time === "string" ? time.slice(11, 19) : "";
  const named = Object.entries(fields).map(([name, value]) => `${name}=${fieldText(value)}`);
  const text = [clock, String(level).padEnd(5), String(event), ...named].join(" ");
  const start = colour ? colours[String(level)] : undefined;
  return start === undefined ? text : `${start}${text}${reset}`;
}

function fieldText(value: unknown): string {
  if (typeof value === "string" && /^[^\s"=]+$/.test(value)) return value;
  return JSON.stringify(value);
}
