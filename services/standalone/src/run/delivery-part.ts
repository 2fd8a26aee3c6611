import type { EndAddress } from "@datatrace/capture";
import type { TopicPartition } from "@datatrace/core";
import type { Task } from "@datatrace/runtime";
import type { Notice } from "../output.ts";
import { RecentLatencies } from "./recent-latencies.ts";
import type { PartContext, PartLook, RunPart } from "./run-part.ts";

/** One task's delivery to one target in this process. */
export class DeliveryPart implements RunPart {
  readonly role = "delivery";
  readonly name: string;
  readonly task: Task;
  readonly target: string;
  readonly latencies = new RecentLatencies();

  constructor(task: Task, target: string, _context: PartContext) {
    this.name = `delivery ${task.id} to ${target}`;
    this.task = task;
    this.target = target;
  }

  async run(): Promise<void> {
    throw new Error("stub");
  }

  look(): PartLook {
    return { state: "failed", error: null };
  }
  async appliedThrough(_ends: readonly EndAddress[], _signal: AbortSignal): Promise<void> {}
  async progress(_signal: AbortSignal): Promise<readonly (TopicPartition & { readonly next: bigint })[]> {
    return [];
  }
  stoppedTopics(): ReadonlySet<string> {
    return new Set();
  }
  stoppedTables(): readonly (Omit<Notice, "severity"> & { at: string })[] {
    return [];
  }
  lagRows(): number | null {
    return null;
  }
  rowsPerSecond(): number {
    return 0;
  }
  unappliedRows(): number {
    return 0;
  }
  appliedRows(): number {
    return 0;
  }
  async collect(): Promise<void> {}
  async [Symbol.asyncDispose](): Promise<void> {}
}
