/** Must be escaped inside of the quotes of an array literal. */
const special = /["\\]/;
const everySpecial = /["\\]/g;

/** One element of an array literal: quoted, so that an empty text, the word NULL, braces and commas stand for themselves. */
export function arrayElement(text: string | null): string {
  if (text === null) return "NULL";
  return special.test(text) ? `"${text.replaceAll(everySpecial, String.raw`\$&`)}"` : `"${text}"`;
}

/** A PostgreSQL array literal of these element texts. */
export function arrayLiteral(elements: readonly (string | null)[]): string {
  return `{${elements.map(arrayElement).join(",")}}`;
}
