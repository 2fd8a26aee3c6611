import type { CommandProcess, Program } from "./command-process.ts";
import type { PipelineBed } from "./pipeline-bed.ts";

/** Replicas of one service: any may be killed or ended, and another takes its place. */
export class ServiceReplicas {
  readonly #bed: PipelineBed;
  readonly #program: Program;
  readonly #all: CommandProcess[] = [];
  #running: readonly CommandProcess[] = [];

  constructor(bed: PipelineBed, program: Program, count: number) {
    this.#bed = bed;
    this.#program = program;
    for (let index = 0; index < count; index += 1) this.#start(index === 0);
  }

  /** Every one there ever was. */
  get all(): readonly CommandProcess[] {
    return this.#all;
  }

  /** Those that run, the oldest first. */
  get running(): readonly CommandProcess[] {
    return this.#running;
  }

  /** With the file, or with the log alone, which is there when the file is. */
  #start(withFile: boolean): CommandProcess {
    const replica = this.#bed.startService(this.#program, ...(withFile ? [this.#bed.file] : []));
    this.#all.push(replica);
    this.#running = [...this.#running, replica];
    return replica;
  }

  /** kill -9, and another one. */
  async kill(index: number): Promise<void> {
    const victim = this.#running[index];
    this.#running = this.#running.filter((one) => one !== victim);
    await victim?.kill();
    this.#start(false);
  }

  /** One by one: a new one is there before the old one is ended. */
  async roll(): Promise<void> {
    for (const old of this.#running) {
      await this.#start(true).serviceUrl();
      await this.#end(old);
    }
  }

  async stop(): Promise<void> {
    for (const replica of this.#running) await this.#end(replica);
  }

  async #end(replica: CommandProcess): Promise<void> {
    this.#running = this.#running.filter((one) => one !== replica);
    replica.signal("SIGTERM");
    await replica.exits(0, 15_000);
  }
}
