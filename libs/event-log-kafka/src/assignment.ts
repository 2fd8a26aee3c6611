import type { TopicPartition } from "@datatrace/core";

import { placeName } from "./offsets.ts";

/** A member of a group, the topics it wants, and what it had in which generation. */
export interface GroupMemberClaim {
  readonly id: string;
  readonly topics: ReadonlySet<string>;
  readonly generation: number;
  readonly owned: readonly TopicPartition[];
}

/**
 * Spreads partitions over members: each goes to a member that wants its topic, no member has more than one more than
 * another that could take it, and as few as possible change hands. Of two that claim a partition the later generation
 * counts. The same input gives the same answer.
 */
export function assignPartitions(
  partitions: readonly TopicPartition[],
  members: readonly GroupMemberClaim[],
): ReadonlyMap<string, readonly TopicPartition[]> {
  const sorted = members.toSorted((one, other) => (one.id < other.id ? -1 : 1));
  const held = new Map(sorted.map(({ id }) => [id, new Map<string, TopicPartition>()]));
  const of = (member: GroupMemberClaim): Map<string, TopicPartition> => held.get(member.id) ?? new Map();
  const owners = ownersOf(sorted);
  for (const place of partitions) {
    const wanting = sorted.filter(({ topics }) => topics.has(place.topic));
    const owner = owners.get(placeName(place));
    const taker = wanting.find(({ id }) => id === owner);
    if (taker !== undefined) of(taker).set(placeName(place), place);
  }
  for (const place of partitions) {
    const name = placeName(place);
    if ([...held.values()].some((own) => own.has(name))) continue;
    const taker = lightest(
      sorted.filter(({ topics }) => topics.has(place.topic)),
      of,
    );
    if (taker !== undefined) of(taker).set(name, place);
  }
  while (moveOne(sorted, of)) continue;
  return new Map([...held].map(([id, own]) => [id, [...own.values()]]));
}

function ownersOf(members: readonly GroupMemberClaim[]): ReadonlyMap<string, string> {
  const claims = new Map<string, { readonly id: string; readonly generation: number }>();
  for (const { id, generation, owned } of members) {
    for (const place of owned) {
      const known = claims.get(placeName(place));
      if (known === undefined || known.generation < generation) claims.set(placeName(place), { id, generation });
    }
  }
  return new Map([...claims].map(([name, { id }]) => [name, id]));
}

type Holding = (member: GroupMemberClaim) => Map<string, TopicPartition>;

function lightest(members: readonly GroupMemberClaim[], of: Holding): GroupMemberClaim | undefined {
  return members.reduce<GroupMemberClaim | undefined>(
    (best, one) => (best === undefined || of(one).size < of(best).size ? one : best),
    undefined,
  );
}

/** Moves a partition from a member to one that has at least two less; false when there is nothing to even out. */
function moveOne(members: readonly GroupMemberClaim[], of: Holding): boolean {
  for (const from of members) {
    for (const [name, place] of [...of(from)].toReversed()) {
      const to = lightest(
        members.filter(({ topics }) => topics.has(place.topic)),
        of,
      );
      if (to === undefined || of(to).size + 1 >= of(from).size) continue;
      of(from).delete(name);
      of(to).set(name, place);
      return true;
    }
  }
  return false;
}
