const masked = "[secret]";

/**
 * A value that must never reach a log line, an error or a metric (I8). Printing it in any way gives `[secret]`;
 * only `reveal()` gives the text, and only the code that hands it to a driver calls that.
 */
export class Secret {
  readonly #value: string;

  constructor(value: string) {
    this.#value = value;
  }

  reveal(): string {
    return this.#value;
  }

  toString(): string {
    return masked;
  }

  toJSON(): string {
    return masked;
  }

  /** What `console.log` and `util.inspect` print. */
  [Symbol.for("nodejs.util.inspect.custom")](): string {
    return masked;
  }
}
