import { invariant } from "@datatrace/core";

/** A decimal as two's complement: `unscaled` is a number while that is exact, else a bigint. */
export interface Decimal {
  readonly unscaled: number | bigint;
  readonly scale: number;
}

/** Digits that always fit a double exactly. */
const exactDigits = 15;
const zero = 48;
const nine = 57;
const minus = 45;
const plus = 43;
const point = 46;

/** Largest number of digits on either side of the point that PostgreSQL can hold is 131,072; beyond is no decimal. */
const maxDigits = 150_000;

/** Reads plain notation, keeping every digit of the fraction. */
export function parseDecimal(text: string): Decimal {
  let unscaled = 0;
  let digits = 0;
  let scale = -1;
  const start = text.charCodeAt(0) === minus || text.charCodeAt(0) === plus ? 1 : 0;
  for (let i = start; i < text.length; i += 1) {
    const code = text.charCodeAt(i);
    if (code >= zero && code <= nine) {
      unscaled = unscaled * 10 + (code - zero);
      digits += 1;
      if (scale >= 0) scale += 1;
    } else {
      invariant(code === point && scale < 0, "a decimal is not in plain notation");
      scale = 0;
    }
  }
  invariant(digits > 0, "a decimal is not in plain notation");
  if (scale < 0) scale = 0;
  if (digits > exactDigits) return { unscaled: BigInt(text.replace(".", "").replace(/^\+/, "")), scale };
  return { unscaled: start === 1 && text.charCodeAt(0) === minus && unscaled !== 0 ? -unscaled : unscaled, scale };
}

/** The same value with exactly `scale` digits after the point. */
export function atScale(decimal: Decimal, scale: number): number | bigint {
  if (decimal.scale === scale) return decimal.unscaled;
  const unscaled = BigInt(decimal.unscaled);
  if (decimal.scale < scale) return unscaled * 10n ** BigInt(scale - decimal.scale);
  const factor = 10n ** BigInt(decimal.scale - scale);
  invariant(unscaled % factor === 0n, "a decimal has more digits than its column's scale");
  return unscaled / factor;
}

/** The same value with no zero at the end of its fraction: equal decimals become the same bytes. */
export function withoutTrailingZeros({ unscaled, scale }: Decimal): Decimal {
  if (scale === 0) return { unscaled, scale };
  if (typeof unscaled === "number") {
    let rest = unscaled;
    let left = scale;
    for (; left > 0 && rest % 10 === 0; left -= 1) rest /= 10;
    return { unscaled: rest, scale: left };
  }
  const digits = unscaled.toString();
  let end = digits.length;
  let left = scale;
  for (; left > 0 && digits.charCodeAt(end - 1) === zero; left -= 1) end -= 1;
  return { unscaled: BigInt(digits.slice(0, end)), scale: left };
}

/** Plain notation with `scale` digits after the point; null when the scale is not one that a decimal can have. */
export function formatDecimal(unscaled: number | bigint, scale: number): string | null {
  if (scale > maxDigits || scale < -maxDigits) return null;
  const text = unscaled.toString();
  if (scale === 0) return text;
  if (scale < 0) return text === "0" ? text : text + "0".repeat(-scale);
  const negative = text.charCodeAt(0) === minus;
  const digits = negative ? text.slice(1) : text;
  const padded = digits.length > scale ? digits : digits.padStart(scale + 1, "0");
  const split = padded.length - scale;
  return `${negative ? "-" : ""}${padded.slice(0, split)}.${padded.slice(split)}`;
}
