/** `split`: capture and sink are processes of their own over one log. `single`: one process does everything. */
export type Topology = "split" | "single";

/** A process of the pipeline. */
export type Part = "capture" | "sink" | "standalone";

/** A named place in the code at which a process is killed or frozen. */
export interface Failpoint {
  readonly name: string;
  /** The part that comes by when the topology is `split`; `standalone` does for all in `single`. */
  readonly part: "capture" | "sink";
  /** `start`: only reached before the snapshot is complete, so it is armed when the round begins. */
  readonly phase: "start" | "any";
  /** The order names a hit from 1 to this. */
  readonly maxHit: number;
}

/** Every failpoint of the product; a test holds this list against the sources. */
export const failpoints: readonly Failpoint[] = [
  { name: "capture.after_publication_created", part: "capture", phase: "start", maxHit: 1 },
  { name: "capture.after_table_added", part: "capture", phase: "start", maxHit: 1 },
  { name: "capture.after_add_table", part: "capture", phase: "start", maxHit: 1 },
  { name: "capture.after_intent", part: "capture", phase: "start", maxHit: 1 },
  { name: "capture.after_slot_created", part: "capture", phase: "start", maxHit: 1 },
  { name: "capture.after_slot", part: "capture", phase: "start", maxHit: 1 },
  { name: "capture.after_low_watermark", part: "capture", phase: "start", maxHit: 6 },
  { name: "capture.after_chunk_read", part: "capture", phase: "start", maxHit: 6 },
  { name: "capture.before_chunk_publish", part: "capture", phase: "start", maxHit: 6 },
  { name: "capture.before_append", part: "capture", phase: "any", maxHit: 8 },
  { name: "capture.after_append", part: "capture", phase: "any", maxHit: 8 },
  { name: "capture.before_ack", part: "capture", phase: "any", maxHit: 8 },
  { name: "log.mid_append", part: "capture", phase: "any", maxHit: 8 },
  { name: "log.before_commit", part: "capture", phase: "any", maxHit: 8 },
  { name: "log.after_commit", part: "capture", phase: "any", maxHit: 8 },
  { name: "sink.after_claim", part: "sink", phase: "any", maxHit: 1 },
  { name: "sink.after_prepare", part: "sink", phase: "any", maxHit: 2 },
  { name: "sink.before_first_update", part: "sink", phase: "any", maxHit: 8 },
  { name: "sink.after_first_update", part: "sink", phase: "any", maxHit: 8 },
  { name: "sink.before_commit", part: "sink", phase: "any", maxHit: 8 },
  { name: "sink.after_commit", part: "sink", phase: "any", maxHit: 8 },
];

/** Faults without a failpoint, by what they do. */
export const plainFaults = [
  "kill capture",
  "kill sink",
  "kill standalone",
  "kill source",
  "kill target",
  "cut source",
  "cut target",
  "cut source after some bytes",
  "cut target before commit",
  "cut target at the answer to commit",
  "stall source",
  "stall target",
  "freeze capture past its successor",
  "freeze sink past its successor",
  /** Somebody holds the log's write lock, capture waits and lives; then it is killed. What waited was never stored. */
  "kill capture behind a locked log",
] as const;

export type PlainFault = (typeof plainFaults)[number];

/** Faults at a failpoint that are more than a kill. */
export const frozenFaults = [
  /** Between the first UPDATE and COMMIT of the target transaction; its successor works, then it wakes. */
  "freeze sink in its transaction past its successor",
  /** With a batch in its hands and nothing sent: what it sends when it wakes belongs to a claim that is over. */
  "freeze sink before its transaction past its successor",
  /** Holding the log's write lock; a successor waits, then it wakes. */
  "freeze capture in its append",
  /** The target dies while a sink is about to commit, and comes back before the sink goes on. */
  "kill target at sink.before_commit",
  /** The source dies while capture has appended and not yet acknowledged. */
  "kill source at capture.before_ack",
] as const;

export type FrozenFault = (typeof frozenFaults)[number];

/** The failpoint that each of them stops at. */
export const frozenAt: Readonly<Record<FrozenFault, string>> = {
  "freeze sink in its transaction past its successor": "sink.after_first_update",
  "freeze sink before its transaction past its successor": "sink.before_first_update",
  "freeze capture in its append": "log.before_commit",
  "kill target at sink.before_commit": "sink.before_commit",
  "kill source at capture.before_ack": "capture.before_ack",
};

export type Fault =
  | { readonly kind: "plain"; readonly name: PlainFault }
  | { readonly kind: "kill-at"; readonly name: string; readonly failpoint: Failpoint; readonly hit: number }
  | { readonly kind: "frozen-at"; readonly name: FrozenFault; readonly failpoint: Failpoint; readonly hit: number };

const onlySplit: ReadonlySet<string> = new Set<string>([
  "kill capture",
  "kill sink",
  "freeze capture past its successor",
  "freeze sink past its successor",
  "freeze sink in its transaction past its successor",
  "freeze sink before its transaction past its successor",
  "freeze capture in its append",
]);

/** Whether the fault can be made with these processes. */
export function fits(name: string, topology: Topology): boolean {
  return topology === "split" ? name !== "kill standalone" : !onlySplit.has(name);
}
