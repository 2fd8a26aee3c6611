import { isMap, isScalar, LineCounter, parseDocument, visit } from "yaml";
import type { Document, ErrorCode as YamlErrorCode, Node, Scalar } from "yaml";

/** Keys and indexes from the root, such as `["tasks", "orders", "objects", 0]`. */
export type FilePath = readonly (string | number)[];

/** What is wrong with the YAML itself, in our words: the library's quote the file, which may hold secrets (I8). */
const faults: Partial<Record<YamlErrorCode, string>> = {
  BAD_INDENT: "The indentation is wrong.",
  TAB_AS_INDENT: "A tab is used for indentation; YAML takes spaces only.",
  DUPLICATE_KEY: "The same field is given twice.",
  MISSING_CHAR: "A closing quote, bracket or comma is missing.",
  BLOCK_AS_IMPLICIT_KEY: "A field's value begins on the line of another field: the indentation or a quote is wrong.",
  MULTILINE_IMPLICIT_KEY: "A field's name goes over several lines: a colon is missing, or the indentation is wrong.",
  UNEXPECTED_TOKEN: "Something stands where YAML does not allow it: the indentation, a quote or a bracket is wrong.",
  MULTIPLE_DOCS: "The file holds several documents; one is allowed.",
};

export interface YamlFault {
  readonly line: number;
  readonly message: string;
}

/** The text of a pipeline file, with the line of every field. */
export class YamlSource {
  readonly #document: Document;
  readonly #lines: LineCounter;

  constructor(text: string) {
    this.#lines = new LineCounter();
    this.#document = parseDocument(text, { lineCounter: this.#lines, prettyErrors: false, version: "1.2" });
  }

  /** Only the first one: what follows it is mostly its echo. */
  get fault(): YamlFault | null {
    const found = this.#document.errors.map(({ code, pos }) => ({
      line: this.#lines.linePos(pos[0]).line,
      message: faults[code] ?? `The YAML is malformed (${code}).`,
    }));
    visit(this.#document, {
      Alias: (_, alias) => {
        if (alias.resolve(this.#document) !== undefined) return;
        const line = this.#lines.linePos(alias.range?.[0] ?? 0).line;
        found.push({ line, message: "An alias (`*name`) has no anchor (`&name`) before it." });
      },
    });
    return found[0] ?? null;
  }

  /** Calls `replace` with every text that is a value (not a field's name), and puts the answer in its place. */
  replaceTexts(replace: (text: string, path: FilePath) => string): void {
    visit(this.#document, {
      Scalar: (key, node, ancestors) => {
        if (key === "key" || typeof node.value !== "string") return;
        const before = node.value;
        const after = replace(before, pathOf(key, node, ancestors));
        if (after !== before) node.value = node.type === "PLAIN" ? plainValue(after) : after;
      },
    });
  }

  /** The file as data: strings, numbers, booleans, null, arrays, objects. */
  value(): unknown {
    return this.#document.toJS({ maxAliasCount: 100 });
  }

  /** Line of the field's name (or of the list's item); of the nearest parent that is there, when it is missing. */
  line(path: FilePath): number {
    for (let length = path.length; length > 0; length--) {
      const start = this.#start(path.slice(0, length));
      if (start !== null) return this.#lines.linePos(start).line;
    }
    return 1;
  }

  #start(path: FilePath): number | null {
    const last = path.at(-1);
    const parent = path.length === 1 ? this.#document.contents : this.#document.getIn(path.slice(0, -1), true);
    if (isMap(parent)) {
      const pair = parent.items.find(({ key }) => isScalar(key) && String(key.value) === String(last));
      return rangeStart(pair?.key);
    }
    return rangeStart(this.#document.getIn(path, true));
  }
}

function rangeStart(node: unknown): number | null {
  return (node as Node | undefined)?.range?.[0] ?? null;
}

/** An unquoted text that came from the environment is read as YAML would have read it: `1000` is a number. */
function plainValue(text: string): string | number | boolean {
  if (/^(0|-?[1-9][0-9]{0,14})$/.test(text)) return Number(text);
  if (text === "true" || text === "false") return text === "true";
  return text;
}

function pathOf(key: unknown, node: Scalar, ancestors: readonly unknown[]): FilePath {
  const path: (string | number)[] = [];
  const chain = [...ancestors, node];
  for (const [index, ancestor] of ancestors.entries()) {
    const child = chain[index + 1];
    if (typeof ancestor === "object" && ancestor !== null && "key" in ancestor && isScalar(ancestor.key)) {
      path.push(String(ancestor.key.value));
    } else if (typeof ancestor === "object" && ancestor !== null && "items" in ancestor && !isMap(ancestor)) {
      path.push((ancestor.items as unknown[]).indexOf(child));
    }
  }
  return path;
}

/** `tasks.orders.objects[0].table`. */
export function pathText(path: FilePath): string {
  let text = "";
  for (const part of path) {
    if (typeof part === "number") text += `[${part}]`;
    else text += text === "" ? part : `.${part}`;
  }
  return text;
}
