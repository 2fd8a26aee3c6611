import { demandSuccess, codes } from "./broker-error.ts";
import type { Cluster } from "./cluster.ts";

/** Kafka forgets the group, too, unless somebody is still in it: then it does after a while. */
export async function removeUnusedGroup(cluster: Cluster, group: string, signal?: AbortSignal): Promise<void> {
  await cluster.persist(async () => {
    const node = await cluster.coordinator("group", group);
    const answer = await cluster.ask<{ results: readonly { errorCode: number }[] }>(node, "DeleteGroups", [group]);
    for (const { errorCode } of answer.results) {
      if (errorCode !== codes.nonEmptyGroup && errorCode !== codes.groupIdNotFound)
        demandSuccess("DeleteGroups", errorCode);
    }
  }, signal);
}
