import { setTimeout as delay } from "node:timers/promises";
import { isStopped, waitFor } from "@datatrace/testkit";
import Database from "better-sqlite3";
import { DatabaseError } from "pg";
import type { DataTraceProcess } from "../workload/datatrace-process.ts";
import type { Random } from "../workload/random.ts";
import type { Workload } from "../workload/workload.ts";
import { connected } from "./arena.ts";
import type { Arena, Side } from "./arena.ts";
import type { Fault, FrozenFault, PlainFault } from "./faults.ts";
import type { PipelineNames } from "./pipeline-names.ts";
import type { Armed, Order, Stage } from "./stage.ts";

export interface Scene {
  readonly arena: Arena;
  readonly stage: Stage;
  readonly random: Random;
  readonly names: PipelineNames;
  /** The SQLite file that the log's appends go to. */
  readonly logFile: string;
  /** Its other file, with the members of groups. */
  readonly leasesFile: string;
  readonly workload: Pick<Workload, "pause" | "resume">;
}

/** How long a failpoint may take to be reached after its process was started. */
const fireDeadlineMs = 15_000;
const planDeadlineMs = 4_000;
/** A frozen transaction is ended by the server after 30 s at the latest. */
const successorDeadlineMs = 45_000;

/** Makes the fault happen and sees to it that everything runs again. False when its place was not reached in time. */
export async function inject(scene: Scene, fault: Fault, armedAtStart: Armed | null): Promise<boolean> {
  if (fault.kind === "plain") return await plain[fault.name](scene);
  const armed = armedAtStart ?? (await scene.stage.restartUnder(orderOf(fault)));
  const process = await armed.fired(fireDeadlineMs);
  if (process === null) {
    // It must not fire later, in the middle of something else.
    await scene.stage.kill(scene.stage.partFor(fault.failpoint.part));
    return false;
  }
  if (fault.kind === "frozen-at") await frozen[fault.name](scene, process);
  return true;
}

/** What the process is told for a fault at a failpoint. */
export function orderOf({ kind, failpoint, hit }: Exclude<Fault, { kind: "plain" }>): Order {
  return { role: failpoint.part, failpoint: failpoint.name, action: kind === "kill-at" ? "kill" : "stop", hit };
}

const plain: Readonly<Record<PlainFault, (scene: Scene) => Promise<boolean>>> = {
  "kill capture": async ({ stage }) => await always(stage.kill("capture")),
  "kill sink": async ({ stage }) => await always(stage.kill("sink")),
  "kill standalone": async ({ stage }) => await always(stage.kill("standalone")),
  "kill source": async ({ arena, random }) => await always(killServer(arena.source, random.int(0, 700))),
  "kill target": async ({ arena, random }) => await always(killServer(arena.target, random.int(0, 700))),
  "cut source": async ({ arena }) => await always(cut(arena.source)),
  "cut target": async ({ arena }) => await always(cut(arena.target)),
  "cut source after some bytes": async ({ arena, random }) =>
    await planned(arena.source.proxy.cutAfter("to-client", random.int(1, 200_000))),
  "cut target before commit": async ({ arena, random }) =>
    await planned(
      arena.target.proxy.cutOn({ direction: "to-server", match: "COMMIT", cut: "before", skip: random.int(0, 5) }),
    ),
  "cut target at the answer to commit": async ({ arena, random }) =>
    await planned(
      arena.target.proxy.cutOn({ direction: "to-server", match: "COMMIT", cut: "answer", skip: random.int(0, 5) }),
    ),
  "stall source": async ({ arena, random }) => await always(stall(arena.source, random.int(300, 2_500))),
  "stall target": async ({ arena, random }) => await always(stall(arena.target, random.int(300, 2_500))),
  "freeze capture past its successor": async (scene) => await freeze(scene, "capture"),
  "freeze sink past its successor": async (scene) => await freeze(scene, "sink"),
  "kill capture behind a locked log": async (scene) => await always(killBehindLock(scene)),
};

const frozen: Readonly<Record<FrozenFault, (scene: Scene, process: DataTraceProcess) => Promise<void>>> = {
  "freeze sink in its transaction past its successor": async (scene, process) => {
    await succeed(scene, "sink", process, 0);
  },
  "freeze sink before its transaction past its successor": async (scene, process) => {
    await succeed(scene, "sink", process, 0, async () => await quiet(scene));
  },
  "freeze capture in its append": async (scene, process) => {
    // It holds the log's lock: its successor can only wait until it wakes.
    await succeed(scene, "capture", process, scene.random.int(500, 3_000));
  },
  "kill target at sink.before_commit": async ({ arena, random }, process) => {
    await killServer(arena.target, random.int(0, 300));
    process.signal("SIGCONT");
  },
  "kill source at capture.before_ack": async ({ arena, random }, process) => {
    await killServer(arena.source, random.int(0, 300));
    process.signal("SIGCONT");
  },
};

/** Long enough for capture to have a batch in hand that the log does not take. */
const lockedMs = 2_000;

/**
 * Capture must be streaming when the lock falls: one that is starting, or whose batch does not move the position, has
 * nothing that it could acknowledge too early.
 */
async function killBehindLock(scene: Scene): Promise<void> {
  const part = scene.stage.partFor("capture");
  await worksOn(scene, "capture");
  using _lock = lockFile(scene.logFile);
  await delay(lockedMs);
  await scene.stage.kill(part);
}

/** Until the part has got further than it is now. */
async function worksOn(scene: Scene, part: "capture" | "sink"): Promise<void> {
  const before = await progress(scene, part);
  await waitFor(async () => (await progress(scene, part)) > before, {
    deadlineMs: successorDeadlineMs,
    what: `${part} to get on`,
  });
}

/** Takes SQLite's write lock of a database file as another process would. @throws SqliteError when others keep it. */
function lockFile(file: string, patienceMs = 5_000): Disposable {
  const database = new Database(file, { timeout: patienceMs, fileMustExist: true });
  try {
    database.exec("BEGIN IMMEDIATE");
  } catch (error) {
    database.close();
    throw error;
  }
  return {
    [Symbol.dispose]: () => {
      database.exec("ROLLBACK");
      database.close();
    },
  };
}

/** Nobody is in the middle of a write to it. */
function isFree(file: string): boolean {
  try {
    using _lock = lockFile(file, 0);
    return true;
  } catch (error) {
    if (error instanceof Database.SqliteError && error.code.startsWith("SQLITE_BUSY")) return false;
    throw error;
  }
}

async function always(work: Promise<void>): Promise<boolean> {
  await work;
  return true;
}

async function killServer(side: Side, downMs: number): Promise<void> {
  await side.server.kill();
  await delay(downMs);
  await side.server.start();
}

/** Waits until there is something to cut: the part may just be starting. */
async function cut({ proxy }: Side): Promise<void> {
  await waitFor(() => proxy.connections > 0, { deadlineMs: 30_000, what: "a connection to cut" });
  proxy.cut();
}

async function stall(side: Side, forMs: number): Promise<void> {
  side.proxy.blackhole();
  await delay(forMs);
  side.proxy.restore();
}

async function planned(plan: { readonly fired: Promise<void>; cancel(): void }): Promise<boolean> {
  const done = await Promise.race([plan.fired.then(() => true), delay(planDeadlineMs, false, { ref: false })]);
  plan.cancel();
  return done;
}

async function freeze(scene: Scene, part: "capture" | "sink"): Promise<boolean> {
  const process = await scene.stage.process(part);
  // One that had not begun would be the successor when it wakes.
  await worksOn(scene, part);
  for (;;) {
    if (!process.signal("SIGSTOP")) return false;
    // A thread that has not stopped yet may still begin a write.
    await waitFor(() => process.end !== null || isStopped(process.pid), {
      deadlineMs: 10_000,
      what: `${part} to stop`,
    });
    if (isFree(scene.logFile) && isFree(scene.leasesFile)) break;
    // In the middle of a write nobody can succeed it: that is another fault, "freeze capture in its append".
    process.signal("SIGCONT");
    await delay(scene.random.int(1, 20));
  }
  await succeed(scene, part, process, 0);
  return true;
}

/**
 * Gives a frozen part a successor and waits until that has worked, wakes the old one and lets both run for a while,
 * then kills one of the two. `wakeAfterMs` > 0: wakes it after that time, and waits for the successor's work then.
 */
async function succeed(
  scene: Scene,
  part: "capture" | "sink",
  frozenProcess: DataTraceProcess,
  wakeAfterMs: number,
  beforeWaking: () => Promise<void> = async () => {},
): Promise<void> {
  const before = await progress(scene, part);
  const pair = scene.stage.replace(part);
  try {
    if (wakeAfterMs > 0) {
      await delay(wakeAfterMs);
      frozenProcess.signal("SIGCONT");
    }
    await waitFor(async () => (await progress(scene, part)) > before, {
      deadlineMs: successorDeadlineMs,
      what: `the successor of a frozen ${part} to work`,
    });
    await beforeWaking();
  } finally {
    frozenProcess.signal("SIGCONT");
  }
  await delay(scene.random.int(200, 1_500));
  // The survivor has to go on alone, whichever it is.
  if (pair !== null) await frozenProcess.kill();
  scene.workload.resume();
}

/** Stops the load and waits until the successor has applied all: nothing will cover up what the woken one writes. */
async function quiet(scene: Scene): Promise<void> {
  scene.workload.pause();
  let last = -1n;
  await waitFor(
    async () => {
      const now = await progress(scene, "sink");
      const stands = now === last;
      last = now;
      return stands;
    },
    { deadlineMs: successorDeadlineMs, what: "the successor to have applied all", intervalMs: 1_500 },
  );
}

/** Something that only grows, and only when the part does its work: acknowledged bytes of the slot, offsets in the target. */
async function progress({ arena, names }: Scene, part: "capture" | "sink"): Promise<bigint> {
  const question =
    part === "capture"
      ? {
          url: arena.source.directUrl,
          text: "SELECT coalesce(sum(confirmed_flush_lsn - '0/0'), 0)::text AS n FROM pg_replication_slots WHERE slot_name LIKE $1",
          value: names.slotPattern,
        }
      : {
          url: arena.target.directUrl,
          text: "SELECT coalesce(sum(next_offset), 0)::text AS n FROM datatrace._datatrace_offsets WHERE delivery = $1",
          value: names.delivery,
        };
  return await connected(question.url, async (client) => {
    try {
      const result = await client.query<{ n: string }>(question.text, [question.value]);
      return BigInt(result.rows[0]?.n ?? 0);
    } catch (error) {
      // The sink has not made its tables yet.
      if (error instanceof DatabaseError && ["42P01", "3F000"].includes(error.code ?? "")) return 0n;
      throw error;
    }
  });
}
