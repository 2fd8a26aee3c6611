import { DataTraceError } from "@datatrace/core";
import type { TopicSpec } from "@datatrace/core";

import { demandSuccess } from "./broker-error.ts";
import type { Cluster } from "./cluster.ts";

/** The largest batch, and so the largest record, that our topics take. */
export const maxMessageBytes = 16 * 1024 * 1024;

/** A setting of a topic, and whether another value than ours keeps what we rely on. */
interface TopicSetting {
  readonly name: string;
  readonly value: string;
  accepts(actual: string): boolean;
}

const topicResource = 2;

function exactly(name: string, value: string): TopicSetting {
  return { name, value, accepts: (actual) => actual === value };
}

function atLeast(name: string, value: number): TopicSetting {
  return { name, value: String(value), accepts: (actual) => Number(actual) >= value };
}

/** A negative number means for ever. */
function keepsFor(name: string, value: number): TopicSetting {
  return {
    name,
    value: String(value),
    accepts: (actual) => Number(actual) < 0 || (value >= 0 && Number(actual) >= value),
  };
}

/** For compaction soon, and so that what is read whole stays small. These change nothing of what is promised. */
const compaction: Readonly<Record<string, string>> = { "segment.ms": "600000", "segment.bytes": "16777216" };

function settingsOf(spec: Pick<TopicSpec, "cleanup">, replicas: number, retentionMs: number): readonly TopicSetting[] {
  return [
    exactly("cleanup.policy", spec.cleanup),
    // An election of a replica that lacks acknowledged records would lose them (I3).
    exactly("unclean.leader.election.enable", "false"),
    atLeast("max.message.bytes", maxMessageBytes),
    atLeast("min.insync.replicas", Math.min(replicas, 2)),
    ...(spec.cleanup === "delete" ? [keepsFor("retention.ms", retentionMs), keepsFor("retention.bytes", -1)] : []),
  ];
}

/** What a topic is made with. */
export function newTopicSettings(
  spec: Pick<TopicSpec, "cleanup">,
  replicas: number,
  retentionMs: number,
): { name: string; value: string }[] {
  const own = settingsOf(spec, replicas, retentionMs).map(({ name, value }) => ({ name, value }));
  const extra = spec.cleanup === "compact" ? compaction : {};
  return [...own, ...Object.entries(extra).map(([name, value]) => ({ name, value }))];
}

/** A topic's settings as they are. @throws BrokerError. */
export async function readSettings(cluster: Cluster, topic: string): Promise<ReadonlyMap<string, string>> {
  const answer = await cluster.askAny<{
    resources: readonly {
      errorCode: number;
      configEntries: readonly { configName: string; configValue: string }[];
    }[];
  }>("DescribeConfigs", { resources: [{ type: topicResource, name: topic }] });
  const [resource] = answer.resources;
  demandSuccess("DescribeConfigs", resource?.errorCode ?? -1);
  return new Map(resource?.configEntries.map(({ configName, configValue }) => [configName, configValue]) ?? []);
}

/** @throws DataTraceError `log.partitions_changed`, `log.topic_settings` with the setting, its value and ours. */
export function verifySettings(
  spec: Pick<TopicSpec, "name" | "cleanup">,
  actual: ReadonlyMap<string, string>,
  replicas: number,
  retentionMs: number,
): void {
  for (const setting of settingsOf(spec, replicas, retentionMs)) {
    const { name, value } = setting;
    const is = actual.get(name) ?? "";
    if (setting.accepts(is)) continue;
    const detail = { topic: spec.name, setting: name, is, needed: value };
    throw new DataTraceError(name === "cleanup.policy" ? "log.partitions_changed" : "log.topic_settings", { detail });
  }
}
