import type { WriteStream } from "node:tty";
import type { DemoView } from "./view.ts";
import { renderLine, renderView } from "./view.ts";

const plainIntervalMs = 1_000;
const hideCursor = "\u001B[?25l";
const showCursor = "\u001B[?25h";

/** Draws the view in place on a terminal; anywhere else prints a line a second. */
export class Screen implements Disposable {
  readonly #out: WriteStream;
  #drawnLines = 0;
  #lastPlainMs = -Infinity;

  constructor(out: WriteStream) {
    this.#out = out;
    if (out.isTTY) out.write(hideCursor);
  }

  show(view: DemoView): void {
    if (this.#out.isTTY) {
      const lines = renderView(view, this.#out.columns);
      this.#out.write(`${this.#eraseText()}${lines.join("\n")}\n`);
      this.#drawnLines = lines.length;
      return;
    }
    const nowMs = performance.now();
    if (nowMs - this.#lastPlainMs < plainIntervalMs) return;
    this.#lastPlainMs = nowMs;
    this.#out.write(`${renderLine(view)}\n`);
  }

  /** A line that stays, above the picture. */
  say(line: string): void {
    this.#out.write(`${this.#eraseText()}${line}\n`);
    this.#drawnLines = 0;
  }

  [Symbol.dispose](): void {
    if (this.#out.isTTY) this.#out.write(showCursor);
  }

  /** Moves up over what was drawn, and clears from there to the end of the screen. */
  #eraseText(): string {
    return this.#drawnLines === 0 ? "" : `\u001B[${this.#drawnLines}F\u001B[J`;
  }
}
