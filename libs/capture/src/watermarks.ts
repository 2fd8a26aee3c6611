import { randomUUID } from "node:crypto";
import type { Draft } from "./draft.ts";

/** Called with the draft that is being filled when the watermark comes back. */
export type WatermarkReturned = (draft: Draft) => void | Promise<void>;

/** Watermarks of this session that were written, or are about to be, and have not yet come back in the stream. */
export class Watermarks {
  /** Those of an earlier session may still come back: they mean nothing to this one. */
  readonly #session = randomUUID();
  readonly #expected = new Map<string, WatermarkReturned>();
  #count = 0;

  /** An id to write. `returned` is called when it comes back, in the stream's order with everything around it. */
  expect(returned: WatermarkReturned): string {
    const id = `${this.#session}/${(this.#count += 1)}`;
    this.#expected.set(id, returned);
    return id;
  }

  /** Writing it failed: should it come back nevertheless, it means nothing. False: it has come back already. */
  forget(id: string): boolean {
    return this.#expected.delete(id);
  }

  /** What to do now that this watermark has come back; undefined for one that is not expected. */
  take(id: string): WatermarkReturned | undefined {
    const returned = this.#expected.get(id);
    this.#expected.delete(id);
    return returned;
  }
}
