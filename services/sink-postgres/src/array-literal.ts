/** Must be escaped inside of the quotes of an array literal. */
const special = /["\\]/;
const everySpecial = /["\\]/g;

/**
 * A PostgreSQL array literal of these element texts. Every element is quoted, so that an empty text, the word NULL,
 * braces and commas stand for themselves.
 */
export function arrayLiteral(elements: Iterable<string | null>): string {
  let literal = "{";
  let separator = "";
  for (const element of elements) {
    literal += separator;
    separator = ",";
    if (element === null) literal += "NULL";
    else literal += `"${special.test(element) ? escaped(element) : element}"`;
  }
  return `${literal}}`;
}

function escaped(element: string): string {
  return element.replaceAll(everySpecial, String.raw`\$&`);
}
