import { appendFileSync } from "node:fs";

/**
 * The only code that turns `failpoint(name)` of `@datatrace/core` on. A test imports it to act in its own thread; a
 * process under test is started as `node --import @datatrace/testkit/failpoints …` (its worker threads load it too)
 * and takes its orders from the environment:
 *
 * `DATATRACE_FAILPOINTS=sink.before_commit=kill@3,capture.after_append=stop@1`
 *
 * means SIGKILL of itself at the third hit of the one, SIGSTOP at the first of the other; `throw` throws. Without `@`
 * it is the first hit. `DATATRACE_FAILPOINT_LOG` names a file to which each action is appended, as a JSON line, before
 * it is carried out.
 */
export type FailpointAction = "kill" | "stop" | "throw";

/** One line of the file at `DATATRACE_FAILPOINT_LOG`. */
export interface FiredFailpoint {
  readonly failpoint: string;
  readonly action: FailpointAction;
  /** Which hit of this failpoint in its thread it was, from 1. */
  readonly hit: number;
  readonly pid: number;
}

interface Order {
  readonly at: number | "each";
  readonly act: (hit: number) => void;
}

const hook = Symbol.for("datatrace.failpoints");
const orders = new Map<string, Set<Order>>();
const hits = new Map<string, number>();

function reach(name: string): void {
  const hit = (hits.get(name) ?? 0) + 1;
  hits.set(name, hit);
  for (const order of orders.get(name) ?? []) {
    if (order.at === "each" || order.at === hit) order.act(hit);
  }
}

function add(name: string, order: Order): Disposable {
  const known = orders.get(name) ?? new Set();
  known.add(order);
  orders.set(name, known);
  return {
    [Symbol.dispose]: () => {
      known.delete(order);
    },
  };
}

/** Failpoints of this thread. */
export const failpoints = {
  /**
   * Runs `act` inside of `failpoint(name)`, at hit number `at` counted from now, or at each hit; what it throws, the
   * code under test meets there. Ends with `using`.
   */
  on(name: string, act: (hit: number) => void, at: number | "each" = "each"): Disposable {
    return add(name, { at: at === "each" ? at : at + failpoints.hits(name), act });
  },

  /** How often this thread has come by since `clear` or its start. */
  hits(name: string): number {
    return hits.get(name) ?? 0;
  },

  /** Every name that this thread has come by, with its count. */
  reached(): ReadonlyMap<string, number> {
    return new Map(hits);
  },

  clear(): void {
    orders.clear();
    hits.clear();
  },
};

function carryOut(failpoint: string, action: FailpointAction, hit: number): void {
  const log = process.env["DATATRACE_FAILPOINT_LOG"];
  const fired: FiredFailpoint = { failpoint, action, hit, pid: process.pid };
  if (log !== undefined) appendFileSync(log, `${JSON.stringify(fired)}\n`);
  // A signal to itself is taken before `kill` returns: nothing after this line runs first.
  if (action === "kill") process.kill(process.pid, "SIGKILL");
  else if (action === "stop") process.kill(process.pid, "SIGSTOP");
  else throw new Error(`failpoint ${failpoint}`);
}

function parseOrder(text: string): { name: string; action: FailpointAction; at: number } {
  const [, name, action, at = "1"] = /^([\w.]+)=(kill|stop|throw)(?:@([1-9]\d*))?$/.exec(text) ?? [];
  if (name === undefined || action === undefined) throw new Error(`DATATRACE_FAILPOINTS: cannot read ${text}`);
  return { name, action: action as FailpointAction, at: Number(at) };
}

function obeyEnvironment(): void {
  for (const text of (process.env["DATATRACE_FAILPOINTS"] ?? "").split(",")) {
    if (text.trim() === "") continue;
    const { name, action, at } = parseOrder(text.trim());
    add(name, {
      at,
      act: (hit) => {
        carryOut(name, action, hit);
      },
    });
  }
}

(globalThis as { [hook]?: (name: string) => void })[hook] = reach;
obeyEnvironment();
