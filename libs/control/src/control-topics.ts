import { createHash } from "node:crypto";
import type { TopicSpec } from "@datatrace/core";

/** A capture is (source, prefix), a delivery is (task, target). */
export type SpecKind = "captures" | "deliveries";

/** As many replicas of a service can own something. Never changed: where a spec belongs is computed from it. */
const partitions = 16;

/** Desired state, a record per spec, keyed by the capture's or the delivery's id. */
export function specTopic(kind: SpecKind): TopicSpec {
  return { name: `datatrace.control.${kind}`, partitions, cleanup: "compact" };
}

/** What has become of the specs, keyed by kind and id. */
export const statusTopic: TopicSpec = { name: "datatrace.control.status", partitions: 1, cleanup: "compact" };

/** The partition of a spec: whoever owns it owns the spec. The same for ever, or two owners could meet. */
export function specPartition(id: string): number {
  return createHash("sha256").update(id).digest().readUInt32BE(0) % partitions;
}
