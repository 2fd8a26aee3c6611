/** A live member of a group and the topics it wants. */
export interface Member {
  readonly id: string;
  readonly topics: ReadonlySet<string>;
}

export interface GroupPartition {
  readonly id: number;
  readonly topic: string;
}

/**
 * Spreads partitions over members: each goes to a member that wants its topic, no member has more than one more than
 * another that could take it, and as few as possible change hands. The same input gives the same answer everywhere.
 * Returns the owner of each partition that anybody wants.
 */
export function assign(
  partitions: readonly GroupPartition[],
  members: readonly Member[],
  owners: ReadonlyMap<number, string>,
): Map<number, string> {
  const sorted = members.toSorted((a, b) => (a.id < b.id ? -1 : 1));
  const loads = new Map(sorted.map((member) => [member.id, 0]));
  const load = (member: Member): number => loads.get(member.id) ?? 0;
  const next = new Map<number, string>();
  const give = (partition: GroupPartition, member: Member): void => {
    const before = next.get(partition.id);
    if (before !== undefined) loads.set(before, (loads.get(before) ?? 0) - 1);
    next.set(partition.id, member.id);
    loads.set(member.id, load(member) + 1);
  };
  const lightest = (candidates: readonly Member[]): Member | undefined =>
    candidates.reduce<Member | undefined>(
      (best, one) => (best === undefined || load(one) < load(best) ? one : best),
      undefined,
    );
  const wanting = Map.groupBy(
    sorted.flatMap((member) => [...member.topics].map((topic) => ({ topic, member }))),
    (want) => want.topic,
  );
  const candidates = (topic: string): readonly Member[] => wanting.get(topic)?.map((want) => want.member) ?? [];

  const ownerless: GroupPartition[] = [];
  for (const partition of partitions) {
    const owner = candidates(partition.topic).find((member) => member.id === owners.get(partition.id));
    if (owner === undefined) ownerless.push(partition);
    else give(partition, owner);
  }
  for (const partition of ownerless) {
    const member = lightest(candidates(partition.topic));
    if (member !== undefined) give(partition, member);
  }
  // A move takes a partition to a member that has at least two less, so the sum of squares falls and this ends.
  for (let moved = true; moved;) {
    moved = false;
    for (const partition of partitions) {
      const owner = sorted.find((member) => member.id === next.get(partition.id));
      const lighter = lightest(candidates(partition.topic));
      if (owner === undefined || lighter === undefined || load(lighter) + 1 >= load(owner)) continue;
      give(partition, lighter);
      moved = true;
    }
  }
  return next;
}
