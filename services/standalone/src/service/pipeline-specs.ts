import { setTimeout as delay } from "node:timers/promises";
import { SpecBoard } from "@datatrace/control";
import type { Spec } from "@datatrace/control";
import type { CommandContext } from "../command-context.ts";
import type { OpenedLog } from "../open-log.ts";
import { deliveryId } from "../part-names.ts";
import type { Removal } from "../removal.ts";

/** How long services may show no progress before it counts that there are none. */
const patienceMs = 30_000;
const lookMs = 500;

/** The specs of a pipeline in the control topics, as far as `decommission` is about them. */
export class PipelineSpecs {
  readonly #context: CommandContext;
  readonly #boards: readonly SpecBoard[];
  #asking: Promise<unknown> | null = null;

  private constructor(context: CommandContext, boards: readonly SpecBoard[]) {
    this.#context = context;
    this.#boards = boards;
  }

  /** Null when no service was ever given a spec of any pipeline. Makes nothing. */
  static async find(context: CommandContext, log: OpenedLog): Promise<PipelineSpecs | null> {
    const { logger, signal } = context;
    const boards: SpecBoard[] = [];
    for (const kind of ["deliveries", "captures"] as const) {
      const board = await SpecBoard.find(log.events, kind, logger, signal);
      if (board !== null) boards.push(board);
    }
    return boards.length === 0 ? null : new PipelineSpecs(context, boards);
  }

  /** Asks the owners to decommission them, and waits until they have; goes on when nobody does. */
  asked(): Removal {
    return {
      where: "services",
      fence: () => this.#askOnce(),
      look: () => Promise.resolve([]),
      remove: () => this.#askOnce(),
    };
  }

  /** Takes them out of the topics, when everything else is gone. */
  forgotten(): Removal {
    const { signal } = this.#context;
    return {
      where: "control topics",
      fence: () => Promise.resolve(),
      look: async () => {
        const found = await Promise.all(this.#boards.map((board) => this.#specsOf(board)));
        return found.flat().map(({ id }) => `spec ${id}, with what services have made for it`);
      },
      remove: async () => {
        for (const board of this.#boards) {
          const specs = await this.#specsOf(board);
          await board.forget(
            specs.map(({ id }) => id),
            signal,
          );
        }
      },
    };
  }

  async #askOnce(): Promise<void> {
    this.#asking ??= Promise.all(this.#boards.map((board) => this.#ask(board)));
    await this.#asking;
  }

  async #ask(board: SpecBoard): Promise<void> {
    const { output, signal } = this.#context;
    const running = (await this.#specsOf(board)).filter(({ state }) => state === "running");
    if (running.length > 0) output.say(`Waits for services that run ${running.length} ${board.kind} of it.`);
    await this.#keepCapture(running);
    await board.remove(running, signal);
    let open = Infinity;
    for (let atMs = performance.now(); performance.now() - atMs < patienceMs;) {
      const specs = await this.#specsOf(board);
      const gone = await board.gone(specs, signal);
      const left = specs.filter(({ id }) => !gone.has(id)).length;
      if (left === 0) return;
      if (left < open) atMs = performance.now();
      open = left;
      await delay(lookMs, undefined, { signal });
    }
  }

  /** A capture goes on without the delivery that leaves: else it would keep records for it again. */
  async #keepCapture(removed: readonly Spec[]): Promise<void> {
    const { pipeline, invocation, signal } = this.#context;
    const board = this.#boards.find(({ kind }) => kind === "captures");
    if (invocation.delivery === null || board === undefined || removed.length === 0) return;
    const [task = "", target = ""] = invocation.delivery.split(".");
    const specs = (await board.specs(signal)).filter(({ state }) => state === "running");
    const changed = specs.flatMap((spec): readonly Spec[] => {
      const document = spec.document as { name?: string; tasks?: Record<string, { to?: readonly string[] }> };
      const found = document.tasks?.[task];
      const to = found?.to?.filter((one) => one !== target) ?? [];
      if (document.name !== pipeline.name || found?.to?.includes(target) !== true || to.length === 0) return [];
      return [{ ...spec, document: { ...document, tasks: { ...document.tasks, [task]: { ...found, to } } } }];
    });
    await board.replace(changed, signal);
  }

  /** Of this pipeline, or of the one delivery that is asked for. */
  async #specsOf(board: SpecBoard): Promise<readonly Spec[]> {
    const { pipeline, invocation, signal } = this.#context;
    const { delivery } = invocation;
    if (delivery !== null && board.kind === "captures") return [];
    const wanted = delivery === null ? null : deliveryId(pipeline, ...split(delivery));
    return (await board.specs(signal)).filter(
      ({ id, document }) =>
        (document as { readonly name?: unknown } | null)?.name === pipeline.name && (wanted === null || id === wanted),
    );
  }
}

/** `TASK.TARGET`: neither has a dot. */
function split(delivery: string): [string, string] {
  const [task = "", target = ""] = delivery.split(".");
  return [task, target];
}
