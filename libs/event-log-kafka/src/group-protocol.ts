import type { TopicPartition } from "@datatrace/core";

import type { GroupMemberClaim } from "./assignment.ts";
import { kafkajs } from "./kafkajs-internals.ts";

/** A member as the broker tells the leader of it. */
export interface JoinedMember {
  readonly memberId: string;
  readonly memberMetadata: Buffer;
}

interface ClaimData {
  readonly generation: number;
  readonly owned: readonly TopicPartition[];
}

// The formats of Kafka's own consumers, so that its tools show who has what. What is claimed lies in the user data.

export function encodeClaim(claim: { readonly topics: readonly string[] } & ClaimData): Buffer {
  const data: ClaimData = { generation: claim.generation, owned: claim.owned };
  return kafkajs.memberMetadata.encode({
    version: 0,
    topics: claim.topics,
    userData: Buffer.from(JSON.stringify(data)),
  });
}

export function decodeClaim({ memberId, memberMetadata }: JoinedMember): GroupMemberClaim {
  const { topics, userData } = kafkajs.memberMetadata.decode(memberMetadata);
  const data = JSON.parse(
    (userData ?? Buffer.alloc(0)).toString("utf8") || '{"generation":-1,"owned":[]}',
  ) as ClaimData;
  return { id: memberId, topics: new Set(topics), ...data };
}

export function encodeAssignment(places: readonly TopicPartition[]): Buffer {
  const assignment: Record<string, number[]> = {};
  for (const { topic, partition } of places) (assignment[topic] ??= []).push(partition);
  return kafkajs.memberAssignment.encode({ version: 0, assignment });
}

export function decodeAssignment(bytes: Buffer): readonly TopicPartition[] {
  const assignment = bytes.byteLength === 0 ? null : kafkajs.memberAssignment.decode(bytes);
  return Object.entries(assignment?.assignment ?? {}).flatMap(([topic, partitions]) =>
    partitions.map((partition) => ({ topic, partition })),
  );
}
