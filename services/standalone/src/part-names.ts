import type { Pipeline } from "@datatrace/runtime";

/** Id of a source's capture: its slot, publication, writer and state are named after it. */
export function captureId(pipeline: Pipeline, source: string): string {
  return `${pipeline.name}.${source}`;
}

/** Id of a task's delivery to one target: its group in the log and its progress in the target are named after it. */
export function deliveryId(pipeline: Pipeline, task: string, target: string): string {
  return `${pipeline.name}.${task}.${target}`;
}

/** First part of the name of every data topic. */
export function topicPrefix({ name, log }: Pipeline): string {
  return log.kind === "kafka" ? log.topicPrefix : name;
}
