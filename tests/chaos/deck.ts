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

/** The fault of this name, with a hit drawn for it. @throws Error when there is none. */
export function faultNamed(name: string, random: Random): Fault {
  const plain = plainFaults.find((known) => known === name);
  if (plain !== undefined) return { kind: "plain", name: plain };
  const frozen = frozenFaults.find((known) => known === name);
  const failpoint = failpoints.find((known) => known.name === (frozen === undefined ? name : frozenAt[frozen]));
  if (failpoint === undefined) throw new Error(`there is no fault "${name}"`);
  const hit = random.int(1, failpoint.maxHit);
  if (frozen !== undefined) return { kind: "frozen-at", name: frozen, failpoint, hit };
  return { kind: "kill-at", name, failpoint, hit };
}

function failpointCards(topology: Topology): readonly FailpointCard[] {
  const names = [...failpoints.map(({ name }) => name), ...frozenFaults.filter((name) => fits(name, topology))];
  return names.map((name) => (random) => faultNamed(name, random));
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
    const first = at.filter(isAtStart).toSorted((a, b) => placeOf(a) - placeOf(b));
    const others = at.filter((fault) => !isAtStart(fault));
    return { topology, faults: [...first, ...roundRandom.shuffled([...others, ...plain])], random: roundRandom };
  });
}

/** To be armed before the pipeline starts: its place is passed only once. */
export function isAtStart(fault: Fault): boolean {
  return fault.kind !== "plain" && fault.failpoint.phase === "start";
}

/** The list of failpoints is in the order in which a capture comes by. */
function placeOf(fault: Fault): number {
  return fault.kind === "plain" ? -1 : failpoints.indexOf(fault.failpoint);
}
