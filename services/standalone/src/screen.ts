/** The two outputs of a process, or what stands for them in a test. */
export interface OutputStreams {
  readonly stdout: NodeJS.WritableStream & { readonly isTTY?: boolean; readonly columns?: number };
  readonly stderr: NodeJS.WritableStream & { readonly isTTY?: boolean };
}

const hideCursor = "\u001B[?25l";
const showCursor = "\u001B[?25h";

/** A few lines at the end of a terminal that are drawn again in place; other lines go above them. */
export class Screen implements Disposable {
  readonly #out: OutputStreams["stdout"];
  #drawn: readonly string[] = [];

  constructor(out: OutputStreams["stdout"]) {
    this.#out = out;
  }

  get isTerminal(): boolean {
    return this.#out.isTTY === true;
  }

  /** Replaces the picture. Does nothing when the output is not a terminal. */
  draw(lines: readonly string[]): void {
    if (!this.isTerminal) return;
    const width = this.#out.columns ?? 80;
    const cut = lines.map((line) => (line.length > width ? `${line.slice(0, width - 1)}…` : line));
    const text = cut.map((line) => `${line}\n`).join("");
    this.#out.write(`${this.#drawn.length === 0 ? hideCursor : ""}${this.#erase()}${text}`);
    this.#drawn = cut;
  }

  /** A line that stays. */
  print(stream: NodeJS.WritableStream, line: string): void {
    const picture = this.#drawn;
    if (picture.length === 0) {
      stream.write(`${line}\n`);
      return;
    }
    this.#out.write(this.#erase());
    stream.write(`${line}\n`);
    this.#out.write(picture.map((one) => `${one}\n`).join(""));
  }

  /** The last picture stays where it is. */
  [Symbol.dispose](): void {
    if (this.#drawn.length > 0) this.#out.write(showCursor);
    this.#drawn = [];
  }

  #erase(): string {
    return this.#drawn.length === 0 ? "" : `\u001B[${this.#drawn.length}F\u001B[J`;
  }
}
