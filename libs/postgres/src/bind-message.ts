/** Text, or the format that a type's `*_recv` function reads. */
export type ParameterFormat = "text" | "binary";

const lengthBytes = 4;
const formatCodes: Readonly<Record<ParameterFormat, number>> = { text: 0, binary: 1 };

/**
 * A Bind message of the extended query protocol, its parameters written straight into it: with values handed to the
 * driver, each byte of a large statement is copied four times. Source of the layout: "Message Formats" in PostgreSQL's
 * documentation. For statements that answer no rows.
 */
export class BindMessage {
  /** Larger after `reserve`: take it anew. */
  buffer: Buffer;
  /** Where the next byte goes. */
  at: number;
  readonly #parameters: number;
  readonly #formatsAt: number;
  #parameter = 0;
  #begunAt = 0;

  /** `statement`: a prepared statement's name, in ASCII; `sizeBytes`: how large it is likely to get. */
  constructor(statement: string, parameters: number, sizeBytes: number) {
    const formatsAt = 1 + lengthBytes + 1 + statement.length + 1 + 2;
    const headBytes = formatsAt + parameters * 2 + 2;
    const buffer = Buffer.allocUnsafe(headBytes + sizeBytes);
    buffer[0] = 0x42; // 'B'
    buffer[5] = 0; // The unnamed portal.
    buffer.write(statement, 6, "latin1");
    buffer[6 + statement.length] = 0;
    buffer.writeInt16BE(parameters, formatsAt - 2);
    buffer.writeInt16BE(parameters, headBytes - 2);
    this.buffer = buffer;
    this.at = headBytes;
    this.#parameters = parameters;
    this.#formatsAt = formatsAt;
  }

  /** Makes room for so many bytes from `at` on. */
  reserve(sizeBytes: number): void {
    const needed = this.at + sizeBytes;
    if (needed <= this.buffer.length) return;
    const larger = Buffer.allocUnsafe(Math.max(needed, this.buffer.length * 2));
    this.buffer.copy(larger, 0, 0, this.at);
    this.buffer = larger;
  }

  /** The next parameter's bytes follow. Called again before `endParameter`, it forgets them. */
  beginParameter(): void {
    if (this.#begunAt !== 0) this.at = this.#begunAt;
    this.reserve(lengthBytes);
    this.#begunAt = this.at;
    this.at += lengthBytes;
  }

  endParameter(format: ParameterFormat): void {
    this.buffer.writeInt32BE(this.at - this.#begunAt - lengthBytes, this.#begunAt);
    this.buffer.writeInt16BE(formatCodes[format], this.#formatsAt + this.#parameter * 2);
    this.#parameter += 1;
    this.#begunAt = 0;
  }

  /** Adds a parameter in text. */
  text(value: string): void {
    this.beginParameter();
    this.reserve(value.length * 3);
    this.at += this.buffer.write(value, this.at);
    this.endParameter("text");
  }

  /** The whole message. Nothing can be added any more. */
  finish(): Buffer {
    if (this.#parameter !== this.#parameters) throw new Error("a Bind message has all its parameters");
    this.reserve(2);
    // All results as text.
    this.at = this.buffer.writeInt16BE(0, this.at);
    this.buffer.writeInt32BE(this.at - 1, 1);
    return this.buffer.subarray(0, this.at);
  }
}
