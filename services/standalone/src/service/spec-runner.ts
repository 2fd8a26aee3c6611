import type { Spec } from "@datatrace/control";
import type { Health } from "@datatrace/runtime";
import type { RunPart } from "../run/run-part.ts";
import { SpecKeeper } from "./spec-keeper.ts";
import type { KeeperHooks, SpecDuty } from "./spec-keeper.ts";

export interface RunnerOptions {
  /** A spec that every replica runs has an owner all the same, who decommissions it. */
  readonly exclusive: boolean;
  /** `capture` or `delivery`: the first word of a part's name in the health. */
  readonly word: string;
  readonly hooks: KeeperHooks;
  readonly health: Health;
}

/** All specs that this process has something to do with. */
export class SpecRunner {
  readonly #options: RunnerOptions;
  readonly #keepers = new Map<string, SpecKeeper>();
  readonly #shown = new Set<string>();

  constructor(options: RunnerOptions) {
    this.#options = options;
  }

  /** Starts, changes and stops what these specs, and who owns them, ask for. */
  settle(specs: readonly Spec[], owns: (id: string) => boolean): void {
    const duties = new Map(specs.flatMap((spec) => this.#dutyOf(spec, owns) ?? []).map((duty) => [duty.spec.id, duty]));
    for (const [id, keeper] of this.#keepers) if (!duties.has(id)) keeper.assign(null);
    for (const [id, duty] of duties) {
      const keeper = this.#keepers.get(id);
      if (keeper === undefined || keeper.over) this.#keep(duty);
      else keeper.assign(duty);
    }
  }

  #dutyOf(spec: Spec, owns: (id: string) => boolean): SpecDuty | null {
    if (spec.state === "removed") return owns(spec.id) ? { spec, action: "decommission" } : null;
    return !this.#options.exclusive || owns(spec.id) ? { spec, action: "run" } : null;
  }

  #keep(duty: SpecDuty): void {
    const keeper = new SpecKeeper(duty, this.#options.hooks);
    this.#keepers.set(keeper.id, keeper);
    void this.#forget(keeper);
  }

  async #forget(keeper: SpecKeeper): Promise<void> {
    await keeper.ended;
    if (this.#keepers.get(keeper.id) === keeper) this.#keepers.delete(keeper.id);
  }

  /** Resolves when nothing runs any more that was told to stop. */
  async released(stillWanted: (id: string) => boolean): Promise<void> {
    await Promise.all([...this.#keepers.values()].filter(({ id }) => !stillWanted(id)).map(({ ended }) => ended));
  }

  /** Stops everything, and waits for it. */
  async stop(): Promise<void> {
    this.settle([], () => false);
    await this.released(() => false);
  }

  parts(): readonly RunPart[] {
    return [...this.#keepers.values()].flatMap(({ part }) => part ?? []);
  }

  /** Tells the health how the parts are. To be called about once a second. */
  observe(): void {
    const { health, word } = this.#options;
    const before = new Set(this.#shown);
    this.#shown.clear();
    for (const keeper of this.#keepers.values()) {
      const { state, error } = keeper.look();
      const name = `${word} ${keeper.id}`;
      health.set(name, state, error);
      this.#shown.add(name);
      before.delete(name);
    }
    for (const name of before) health.remove(name);
  }
}
