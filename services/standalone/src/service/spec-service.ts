import { setTimeout as delay } from "node:timers/promises";
import { SpecBoard, SpecOwnership } from "@datatrace/control";
import type { SecretKeys, Spec } from "@datatrace/control";
import { DataTraceError } from "@datatrace/core";
import type { Logger } from "@datatrace/core";
import { pipelineOfSpec } from "@datatrace/runtime";
import type { Health, KafkaLogSettings, Metrics, Pipeline } from "@datatrace/runtime";
import { connectorSchemas } from "../open-connectors.ts";
import type { OpenedLog } from "../open-log.ts";
import { noticeOf } from "../output.ts";
import type { RunPart } from "../run/run-part.ts";
import { Fencings } from "./fencings.ts";
import type { ServiceRole } from "./service-role.ts";
import { SpecRunner } from "./spec-runner.ts";

export interface SpecServiceOptions {
  readonly role: ServiceRole;
  readonly settings: KafkaLogSettings;
  readonly log: OpenedLog;
  readonly keys: SecretKeys;
  readonly health: Health;
  readonly metrics: Metrics;
  readonly logger: Logger;
}

/** Between two looks at the specs. */
const watchMs = 1_000;
/** The part of the process that follows the specs: a replica that owns none is well all the same. */
const specsPart = "specs";

/** A replica of a service: runs the specs in the control topic that are its own. */
export class SpecService {
  readonly #options: SpecServiceOptions;
  readonly #board: SpecBoard;
  readonly #ownership: SpecOwnership;
  readonly #runner: SpecRunner;
  #specs: readonly Spec[] = [];
  /** Why the specs cannot be read now. */
  #trouble: DataTraceError | null = null;
  #looked = false;

  private constructor(options: SpecServiceOptions, board: SpecBoard) {
    const { role, log, health, logger } = options;
    const fencings = new Fencings();
    this.#options = options;
    this.#board = board;
    this.#runner = new SpecRunner({
      exclusive: role.exclusive,
      word: role.section === "sources" ? "capture" : "delivery",
      health,
      hooks: {
        run: async (spec, started, signal) => this.#run(spec, started, signal),
        decommission: async (spec, signal) => this.#decommission(spec, signal),
        fenced: (id) => fencings.note(id),
        rejoin: () => this.#ownership.rejoin(),
        logger,
      },
    });
    this.#ownership = new SpecOwnership({
      log: log.events,
      kind: role.kind,
      service: role.type,
      logger,
      changed: () => this.#settle(),
      released: async () => this.#runner.released((id) => !role.exclusive || this.#ownership.owns(id)),
    });
  }

  /** Makes the control topics when they are not there. */
  static async open(options: SpecServiceOptions, signal: AbortSignal): Promise<SpecService> {
    const { role, log, logger } = options;
    return new SpecService(options, await SpecBoard.open(log.events, role.kind, logger, signal));
  }

  /** Writes what the file asks for, before anything is run. What the file does not name any more goes on. */
  async publish(pipeline: Pipeline, signal: AbortSignal): Promise<void> {
    const { role, keys, logger } = this.#options;
    const wishes = role.wishes(pipeline);
    const written = await this.#board.wish(wishes, keys, signal);
    if (written.length > 0) logger.info("specs written", { specs: written });
    const named = new Set(wishes.map(({ id }) => id));
    for (const spec of await this.#board.specs(signal)) {
      if (!this.#isOurs(spec) || named.has(spec.id) || spec.state !== "running" || nameOf(spec) !== pipeline.name)
        continue;
      const fix = "Write it into the file again, or run `decommission` with the file that had it.";
      logger.warn("a spec of the pipeline is not in its file, and goes on", { spec: spec.id, fix });
    }
  }

  /** Runs until the signal; then stops everything before it leaves the group, so that the next owner finds nothing running. */
  async run(signal: AbortSignal): Promise<void> {
    const leave = new AbortController();
    const over = new AbortController();
    const following = this.#ownership.run(leave.signal);
    try {
      await Promise.race([this.#watch(AbortSignal.any([signal, over.signal])), following]);
    } finally {
      over.abort();
      await this.#runner.stop();
      leave.abort();
      await following.catch(() => undefined);
    }
  }

  parts(): readonly RunPart[] {
    return this.#runner.parts();
  }

  /** Tells the health how the specs are. */
  observe(): void {
    const error = this.#trouble ?? this.#ownership.trouble;
    const state = this.#looked && this.#ownership.joined ? "running" : "starting";
    this.#options.health.set(specsPart, error === null ? state : "retrying", error === null ? null : noticeOf(error));
    this.#runner.observe();
  }

  async #watch(signal: AbortSignal): Promise<void> {
    while (!signal.aborted) {
      try {
        const specs = await this.#board.look(signal);
        this.#trouble = null;
        this.#looked = true;
        if (specs !== null) {
          this.#specs = specs.filter((spec) => this.#isOurs(spec));
          this.#settle();
        }
      } catch (error) {
        if (signal.aborted) return;
        if (!(error instanceof DataTraceError) || error.retry !== "timed" || error.code === "log.closed") throw error;
        const { code, message, fix } = error;
        if (this.#trouble === null)
          this.#options.logger.warn("specs cannot be read, tries again", { code, error: message, fix });
        this.#trouble = error;
      }
      await pause(watchMs, signal);
    }
  }

  #settle(): void {
    this.#runner.settle(this.#specs, (id) => this.#ownership.owns(id));
  }

  /** Specs of other connectors stand in the same topic; they are not even looked into. */
  #isOurs({ document }: Spec): boolean {
    const { role } = this.#options;
    const section = (document as Readonly<Record<string, unknown>> | null)?.[role.section];
    const [endpoint] = typeof section === "object" && section !== null ? (Object.values(section) as unknown[]) : [];
    return (endpoint as { readonly type?: unknown } | null | undefined)?.type === role.type;
  }

  #pipelineOf(spec: Spec): Pipeline {
    const { keys, settings } = this.#options;
    return pipelineOfSpec(spec.id, this.#board.document(spec, keys), settings, connectorSchemas);
  }

  async #run(spec: Spec, started: (part: RunPart) => void, signal: AbortSignal): Promise<void> {
    const { role, log, metrics, logger } = this.#options;
    const pipeline = this.#pipelineOf(spec);
    await using stack = new AsyncDisposableStack();
    const context = { pipeline, log: log.events, registry: log.registry, logger, metrics, signal };
    const part = await role.open(context, log, stack);
    if (part === null) return;
    started(part);
    await part.run();
  }

  async #decommission(spec: Spec, signal: AbortSignal): Promise<void> {
    const { role, log, logger } = this.#options;
    if ((await this.#board.gone([spec], signal)).has(spec.id)) return;
    logger.info("spec is removed: decommissions it", { spec: spec.id });
    const pipeline = this.#pipelineOf(spec);
    await using resources = new AsyncDisposableStack();
    await role.decommission({ pipeline, logger, signal }, log, resources);
    await this.#board.decommissioned(spec, signal);
    logger.info("spec is decommissioned", { spec: spec.id });
  }
}

/** Ends early with the signal. */
async function pause(timeMs: number, signal: AbortSignal): Promise<void> {
  try {
    await delay(timeMs, undefined, { signal });
  } catch {
    // Whoever waits looks at the signal.
  }
}

function nameOf({ document }: Spec): unknown {
  return (document as { readonly name?: unknown } | null)?.name;
}
