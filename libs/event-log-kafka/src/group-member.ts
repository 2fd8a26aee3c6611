import { DataTraceError } from "@datatrace/core";
import type { TopicPartition } from "@datatrace/core";

import { assignPartitions } from "./assignment.ts";
import { asDataTraceError, BrokerError, codes, isPassing } from "./broker-error.ts";
import type { Cluster } from "./cluster.ts";
import { decodeAssignment, decodeClaim, encodeAssignment, encodeClaim } from "./group-protocol.ts";
import type { JoinedMember } from "./group-protocol.ts";
import { WakeUp } from "./wake-up.ts";

export interface MemberListener {
  /**
   * All partitions that this member has from now on. Not `kept`: the group may have given away in between what it had
   * before, even if it is the same.
   */
  assigned(partitions: readonly TopicPartition[], kept: boolean): void;
  /** It is no member any more, and does not become one again. */
  failed(error: unknown): void;
}

interface JoinAnswer {
  readonly errorCode: number;
  readonly generationId: number;
  readonly leaderId: string;
  readonly memberId: string;
  readonly members: readonly JoinedMember[];
}

interface WatchedTopics {
  readonly topics: readonly string[];
  readonly signature: string;
}

const protocolName = "datatrace";
const retryMs = 100;
/** Between two looks of the leader for topics that have come, gone or grown. */
const watchMs = 1000;

/** Membership in a consumer group, on a timer of its own: whoever reads may take as long as he likes. */
export class GroupMember {
  readonly #cluster: Cluster;
  readonly #group: string;
  readonly #listener: MemberListener;
  readonly #wake = new WakeUp();
  #topics: ReadonlySet<string>;
  #memberId = "";
  #generation = -1;
  /** Of the last assignment; what was owned then is claimed again. */
  #synced = -1;
  #owned: readonly TopicPartition[] = [];
  #rejoin = false;
  #closed = false;
  /** As the leader: the topics of all members with their partition counts, as they were assigned. */
  #watched: WatchedTopics | null = null;
  #looking = false;
  #lookError: unknown = null;

  constructor(cluster: Cluster, group: string, topics: readonly string[], listener: MemberListener) {
    this.#cluster = cluster;
    this.#group = group;
    this.#topics = new Set(topics);
    this.#listener = listener;
    void this.#run();
  }

  /** Under which a commit counts; null while it is between two assignments. */
  get identity(): { readonly memberId: string; readonly generation: number } | null {
    return this.#generation < 0 ? null : { memberId: this.#memberId, generation: this.#generation };
  }

  setTopics(topics: readonly string[]): void {
    this.#topics = new Set(topics);
    this.#rejoin = true;
    this.#wake.up();
  }

  /** Leaves the group through another connection: this one may be waiting for a join. */
  async close(other: Cluster): Promise<void> {
    if (this.#closed) return;
    this.#closed = true;
    this.#wake.up();
    if (this.#memberId === "") return;
    const parameters = { groupId: this.#group, memberId: this.#memberId };
    try {
      await other.askCoordinator<{ errorCode: number }>(
        "group",
        this.#group,
        "LeaveGroup",
        parameters,
        ({ errorCode }) => errorCode,
      );
    } catch (error) {
      // The group notices by itself, a little later.
      if (!isPassing(error) && !(error instanceof BrokerError) && !(error instanceof DataTraceError)) throw error;
    }
  }

  async #run(): Promise<void> {
    while (!this.#closed) {
      try {
        await this.#join();
        await this.#stay();
      } catch (error) {
        if (this.#closed) return;
        if (!(await this.#recover(error))) return;
      }
    }
  }

  /** False when there is nothing to be done. */
  async #recover(error: unknown): Promise<boolean> {
    const code = error instanceof BrokerError ? error.code : null;
    if (code === codes.rebalanceInProgress) return true;
    if (code === codes.unknownMember || code === codes.illegalGeneration) {
      if (code === codes.unknownMember) this.#memberId = "";
      this.#lose();
      return true;
    }
    if (!isPassing(error)) {
      this.#generation = -1;
      this.#listener.failed(asDataTraceError(error));
      return false;
    }
    await this.#wake.wait(retryMs);
    return true;
  }

  /** Others may have had, and changed, what this member holds. */
  #lose(): void {
    this.#generation = -1;
    this.#synced = -1;
    this.#owned = [];
    this.#listener.assigned([], false);
  }

  async #join(): Promise<void> {
    this.#rejoin = false;
    const answer = await this.#askToJoin();
    this.#memberId = answer.memberId;
    this.#generation = answer.generationId;
    const isLeader = answer.leaderId === answer.memberId;
    if (!isLeader) this.#watched = null;
    const assignments = isLeader ? await this.#assign(answer.members) : [];
    const sync = await this.#cluster.askCoordinator<{ errorCode: number; memberAssignment: Buffer }>(
      "group",
      this.#group,
      "SyncGroup",
      { groupId: this.#group, generationId: this.#generation, memberId: this.#memberId, groupAssignment: assignments },
      ({ errorCode }) => errorCode,
    );
    if (this.#closed) return;
    // A generation that was missed may have given this member's partitions to another, and back.
    const kept = this.#synced >= 0 && this.#synced >= this.#generation - 1;
    this.#synced = this.#generation;
    this.#owned = decodeAssignment(sync.memberAssignment);
    this.#listener.assigned(this.#owned, kept);
  }

  async #askToJoin(): Promise<JoinAnswer> {
    const { sessionTimeoutMs } = this.#cluster.settings;
    for (;;) {
      const claim = { topics: [...this.#topics], generation: this.#synced, owned: this.#owned };
      let required: string | null = null;
      const answer = await this.#cluster.askCoordinator<JoinAnswer>(
        "group",
        this.#group,
        "JoinGroup",
        {
          groupId: this.#group,
          sessionTimeout: sessionTimeoutMs,
          rebalanceTimeout: Math.max(sessionTimeoutMs, 10_000),
          memberId: this.#memberId,
          protocolType: "consumer",
          groupProtocols: [{ name: protocolName, metadata: encodeClaim(claim) }],
        },
        ({ errorCode, memberId }) => {
          if (errorCode !== codes.memberIdRequired) return errorCode;
          required = memberId;
          return codes.none;
        },
      );
      if (required === null) return answer;
      this.#memberId = required;
    }
  }

  async #assign(members: readonly JoinedMember[]): Promise<{ memberId: string; memberAssignment: Buffer }[]> {
    const claims = members.map(decodeClaim);
    const topics = [...new Set(claims.flatMap((claim) => [...claim.topics]))];
    const { places, signature } = await this.#partitions(topics);
    this.#watched = { topics, signature };
    return [...assignPartitions(places, claims)].map(([memberId, own]) => ({
      memberId,
      memberAssignment: encodeAssignment(own),
    }));
  }

  async #partitions(topics: readonly string[]): Promise<{ places: readonly TopicPartition[]; signature: string }> {
    if (topics.length === 0) return { places: [], signature: "" };
    const wanted = new Set(topics);
    const found = (await this.#cluster.refresh(topics)).filter(({ name }) => wanted.has(name));
    const counts = found
      .map(({ name, leaders }) => ({ name, count: leaders.length }))
      .toSorted((one, other) => (one.name < other.name ? -1 : 1));
    return {
      places: counts.flatMap(({ name, count }) =>
        Array.from({ length: count }, (_, partition) => ({ topic: name, partition })),
      ),
      signature: JSON.stringify(counts),
    };
  }

  /** Until the group has to be joined again. */
  async #stay(): Promise<void> {
    const { sessionTimeoutMs } = this.#cluster.settings;
    const beatMs = Math.min(1000, sessionTimeoutMs / 8);
    const lookMs = Math.min(watchMs, sessionTimeoutMs / 4);
    let lookAtMs = performance.now() + lookMs;
    while (!this.#closed && !this.#rejoin) {
      await this.#wake.wait(beatMs);
      if (this.#closed || this.#rejoin) return;
      if (this.#lookError !== null) throw this.#takeLookError();
      await this.#beat();
      if (this.#watched === null || performance.now() < lookAtMs) continue;
      lookAtMs = performance.now() + lookMs;
      // Not awaited: a broker that does not answer must not cost the membership.
      void this.#look(this.#watched);
    }
  }

  async #beat(): Promise<void> {
    try {
      await this.#cluster.askCoordinator<{ errorCode: number }>(
        "group",
        this.#group,
        "Heartbeat",
        { groupId: this.#group, groupGenerationId: this.#generation, memberId: this.#memberId, groupInstanceId: null },
        ({ errorCode }) => errorCode,
      );
    } catch (error) {
      // The next one finds the coordinator where it is then; joining again would move partitions for nothing.
      if (!isPassing(error)) throw error;
    }
  }

  async #look(watched: WatchedTopics): Promise<void> {
    if (this.#looking) return;
    this.#looking = true;
    try {
      const { signature } = await this.#partitions(watched.topics);
      if (signature === watched.signature || this.#watched !== watched) return;
      this.#rejoin = true;
      this.#wake.up();
    } catch (error) {
      if (isPassing(error)) return;
      this.#lookError = error;
      this.#wake.up();
    } finally {
      this.#looking = false;
    }
  }

  #takeLookError(): unknown {
    const error = this.#lookError;
    this.#lookError = null;
    return error;
  }
}
