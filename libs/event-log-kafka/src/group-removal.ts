import { DataTraceError } from "@datatrace/core";

import { demandSuccess, codes } from "./broker-error.ts";
import type { Cluster } from "./cluster.ts";

/** Kafka forgets the group and its commits. @throws DataTraceError `log.group_in_use` while it has a member. */
export async function deleteGroup(cluster: Cluster, group: string, signal?: AbortSignal): Promise<void> {
  await cluster.persist(async () => {
    const node = await cluster.coordinator("group", group);
    const answer = await cluster.ask<{ results: readonly { errorCode: number }[] }>(node, "DeleteGroups", [group]);
    for (const { errorCode } of answer.results) {
      if (errorCode === codes.nonEmptyGroup) throw new DataTraceError("log.group_in_use", { detail: { group } });
      if (errorCode !== codes.groupIdNotFound) demandSuccess("DeleteGroups", errorCode);
    }
  }, signal);
}
