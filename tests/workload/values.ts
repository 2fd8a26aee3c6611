import type { Random } from "./random.ts";

/** Text that breaks naive quoting, splitting and collation: from every family that once broke somebody's pipeline. */
const awkward = [
  "",
  " ",
  "NULL",
  "\\N",
  "'",
  '"',
  "a\tb",
  "line\nbreak",
  "\\",
  "{}",
  ",",
  "ß",
  "é",
  "日本",
  "😀",
  "%s",
];

const pool = Buffer.alloc(96 * 1024);
for (let index = 0, state = 1; index < pool.length; index += 1) {
  state = (Math.imul(state, 1664525) + 1013904223) >>> 0;
  pool[index] = 33 + ((state >>> 16) % 90);
}
const poolText = pool.toString("latin1");

/** Incompressible text of `length` characters, cheap to make. */
export function longText(random: Random, length: number): string {
  const start = random.int(0, poolText.length - length - 1);
  return poolText.slice(start, start + length);
}

export function text(random: Random): string {
  return random.chance(0.3) ? random.pick(awkward) + random.pick(awkward) : `text ${random.int(0, 1e9)}`;
}

export function nullable<T>(random: Random, value: T): T | null {
  return random.chance(0.15) ? null : value;
}

/** Plain decimal text with up to two digits after the point. */
export function money(random: Random): string {
  return `${random.chance(0.3) ? "-" : ""}${random.int(0, 1e9)}.${String(random.int(0, 99)).padStart(2, "0")}`;
}

/** Decimal text of any size, far beyond what a double holds. */
export function bigDecimal(random: Random): string {
  return `${random.chance(0.5) ? "-" : ""}${random.int(1, 1e9)}${random.int(0, 1e9)}${random.int(0, 1e9)}.${random.int(0, 1e9)}`;
}

export function timestamp(random: Random): string {
  const micros = String(random.int(0, 999_999)).padStart(6, "0");
  return `${random.int(1900, 2100)}-0${random.int(1, 9)}-1${random.int(0, 9)} 1${random.int(0, 9)}:30:15.${micros}`;
}

export function uuid(random: Random, distinct: number): string {
  return random.int(1, distinct).toString(16).padStart(32, "0");
}

export function float(random: Random): number | string {
  return random.chance(0.1) ? random.pick(["NaN", "Infinity", "-Infinity", "-0"]) : random.uint32() / 7;
}

export function jsonText(random: Random): string {
  return JSON.stringify({ n: random.int(0, 1e6), t: text(random), a: [1, null, true, { deep: text(random) }] });
}
