const windowMs = 60_000;
const most = 3;

/** How often a capture was taken over lately: now and then is a change of owner, again and again is a second owner. */
export class Fencings {
  readonly #now: () => number;
  readonly #byId = new Map<string, readonly number[]>();

  constructor(now: () => number = () => performance.now()) {
    this.#now = now;
  }

  /** Notes one. True when there have been three within a minute. */
  note(id: string): boolean {
    const now = this.#now();
    const recent = [...(this.#byId.get(id) ?? []), now].filter((at) => at > now - windowMs);
    this.#byId.set(id, recent);
    return recent.length >= most;
  }
}
