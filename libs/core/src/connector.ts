import type { CaptureSource } from "./capture-source.ts";
import type { Logger } from "./logger.ts";
import type { Sink } from "./sink.ts";

export interface SourceContext {
  /** Id of the capture: the pipeline's name and the source's. Names of slot and publication come from it. */
  readonly capture: string;
  /** Chunks read at once. */
  readonly parallelReads: number;
  readonly logger: Logger;
}

export interface SinkContext {
  /** Units applied at once, each on a connection of its own. */
  readonly parallelApplies: number;
  readonly logger: Logger;
}

/**
 * What a source's folder exports. `configSchema` is a JSON schema (TypeBox) of the entry under `sources:` without `type`;
 * a string property marked `writeOnly: true` there (a url, a password) reaches `open` as a `Secret`.
 */
export interface SourceConnector<Config = never> {
  readonly role: "source";
  /** The value of `type:` in a pipeline file. */
  readonly type: string;
  readonly configSchema: object;
  open(config: Config, context: SourceContext): CaptureSource;
}

/** What a target's folder exports. `configSchema` is a JSON schema (TypeBox) of the entry under `targets:` without `type`, as at a source. */
export interface SinkConnector<Config = never> {
  readonly role: "sink";
  readonly type: string;
  readonly configSchema: object;
  open(config: Config, context: SinkContext): Sink;
}
