import { invariant } from "@datatrace/core";

/** A repeatable source of randomness: the same seed gives the same sequence (sfc32). Not for secrets. */
export class Random {
  #a: number;
  #b: number;
  #c: number;
  #counter = 1;

  constructor(seed: number) {
    this.#a = seed | 0;
    this.#b = Math.imul(seed ^ 0x9e3779b9, 0x85ebca6b);
    this.#c = 0x2545f491;
    for (let round = 0; round < 12; round += 1) this.uint32();
  }

  uint32(): number {
    const sum = (this.#a + this.#b + this.#counter) | 0;
    this.#counter = (this.#counter + 1) | 0;
    this.#a = this.#b ^ (this.#b >>> 9);
    this.#b = (this.#c + (this.#c << 3)) | 0;
    this.#c = ((this.#c << 21) | (this.#c >>> 11)) + sum;
    return sum >>> 0;
  }

  /** Whole number, both ends included. */
  int(from: number, to: number): number {
    return from + Math.floor((this.uint32() / 2 ** 32) * (to - from + 1));
  }

  /** True with this probability. */
  chance(probability: number): boolean {
    return this.uint32() / 2 ** 32 < probability;
  }

  pick<T>(from: readonly T[]): T {
    const chosen = from[this.int(0, from.length - 1)];
    invariant(chosen !== undefined, "there is something to pick from");
    return chosen;
  }

  /** One of the names, as often as its weight says. */
  weighted<Name extends string>(weights: Readonly<Record<Name, number>>): Name {
    const entries = Object.entries<number>(weights) as [Name, number][];
    let rest = (this.uint32() / 2 ** 32) * entries.reduce((sum, [, weight]) => sum + weight, 0);
    for (const [name, weight] of entries) {
      rest -= weight;
      if (rest < 0) return name;
    }
    const last = entries.at(-1);
    invariant(last !== undefined, "there is something to pick from");
    return last[0];
  }

  shuffled<T>(items: readonly T[]): T[] {
    const result = [...items];
    for (let index = result.length - 1; index > 0; index -= 1) {
      const other = this.int(0, index);
      const a = result[index];
      const b = result[other];
      invariant(a !== undefined && b !== undefined, "indexes lie inside the array");
      result[index] = b;
      result[other] = a;
    }
    return result;
  }

  /** An independent sequence, the same for the same seed and number: one per client, so that timing cannot mix them. */
  fork(number: number): Random {
    return new Random(Math.imul(this.#a ^ number, 0x27d4eb2f) ^ (this.#b + number));
  }
}
