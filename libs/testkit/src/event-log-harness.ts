import type { EventLog } from "@datatrace/core";

/** One storage of an event log, new and empty, and the ways to it. */
export interface EventLogHarness extends AsyncDisposable {
  /**
   * A client of its own, as another process would be one. Its group leases and time-outs are as short as the
   * implementation allows, so that a case about a dead member takes seconds.
   */
  open(): Promise<EventLog>;
  /** The same for a child process: a module that exports `openEventLog(parameters)`. */
  readonly child: { readonly module: string; readonly parameters: string };
  /** Makes the log delete now all that its retention allows. */
  reclaim(log: EventLog): Promise<void>;
}

/**
 * Makes a harness. With `maxSizeBytes` the log takes about so much and then answers `log.full`. Implementations pass
 * their failpoints under the same names: `log.mid_append` when some but not all of an append's records were handed to
 * the storage, `log.before_commit` when all were, `log.after_commit` when the append can no longer be lost.
 */
export type CreateEventLog = (options?: { readonly maxSizeBytes?: number }) => Promise<EventLogHarness>;

/** What a module for `EventLogHarness.child` exports. */
export type OpenEventLog = (parameters: string) => Promise<EventLog>;
