import { invariant } from "@datatrace/core";
import { failpoints, fits, frozenAt, frozenFaults, plainFaults } from "./faults.ts";
import type { Fault, Topology } from "./faults.ts";
import { Random } from "../workload/random.ts";

/** What a round will do, before it is known when. */
export interface RoundPlan {
  readonly topology: Topology;
  /** In order of injection: those that must be armed at the start come first. */
  readonly faults: readonly Fault[];
  readonly random: Random;
}

/** How many faults of each family a round gets. */
export interface RoundSize {
  readonly atFailpoints: number;
  readonly plain: number;
}

/** Deals shuffled decks one after the other, so that nothing comes a third time before all have come twice. */
class Deck<Card> {
  readonly #cards: readonly Card[];
  readonly #random: Random;
  #left: Card[] = [];

  constructor(cards: readonly Card[], random: Random) {
    this.#cards = cards;
    this.#random = random;
  }

  draw(): Card {
    if (this.#left.length === 0) this.#left = this.#random.shuffled(this.#cards);
    const card = this.#left.pop();
    invariant(card !== undefined, "a deck has cards");
    return card;
  }
}

type FailpointCard = (random: Random) => Fault;

function failpointCards(topology: Topology): readonly FailpointCard[] {
  const kills = failpoints.map((failpoint): FailpointCard => (random) => ({
    kind: "kill-at",
    name: failpoint.name,
    failpoint,
    hit: random.int(1, failpoint.maxHit),
  }));
  const frozen = frozenFaults
    .filter((name) => fits(name, topology))
    .map((name): FailpointCard => {
      const failpoint = failpoints.find((known) => known.name === frozenAt[name]);
      invariant(failpoint !== undefined, `the failpoint of "${name}" is known`);
      return (random) => ({ kind: "frozen-at", name, failpoint, hit: random.int(1, failpoint.maxHit) });
    });
  return [...kills, ...frozen];
}

/** Plans of all rounds of a seed: the same seed gives the same plans, whichever round is run alone. */
export function dealRounds(seed: number, rounds: number, size: RoundSize): readonly RoundPlan[] {
  const random = new Random(seed);
  const topologies: readonly Topology[] = ["split", "single"];
  const decks = new Map(
    topologies.map((topology, index) => [
      topology,
      {
        failpoint: new Deck(failpointCards(topology), random.fork(index * 2)),
        plain: new Deck(
          plainFaults.filter((name) => fits(name, topology)),
          random.fork(index * 2 + 1),
        ),
      },
    ]),
  );
  return Array.from({ length: rounds }, (_, index) => {
    const topology: Topology = index % 4 === 3 ? "single" : "split";
    const deck = decks.get(topology);
    invariant(deck !== undefined, "each topology has its decks");
    const roundRandom = random.fork(1_000 + index);
    const at = Array.from({ length: size.atFailpoints }, () => deck.failpoint.draw()(roundRandom));
    const plain = Array.from({ length: size.plain }, (): Fault => ({ kind: "plain", name: deck.plain.draw() }));
    const first = at.filter((fault) => fault.kind !== "plain" && fault.failpoint.phase === "start");
    const others = at.filter((fault) => !first.includes(fault));
    return { topology, faults: [...first, ...roundRandom.shuffled([...others, ...plain])], random: roundRandom };
  });
}
