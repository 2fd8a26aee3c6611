import closeWithGrace from "close-with-grace";

/** Longest that a stop may take before the process is ended: orchestrators kill after 10 s themselves. */
export const stopTimeoutMs = 9_000;

const signalNumbers: Readonly<Record<string, number>> = { SIGHUP: 1, SIGINT: 2, SIGQUIT: 3, SIGTERM: 15 };

export interface ShutdownOptions {
  /** SIGTERM is the ordinary end (exit code 0), as for a service; else it interrupts (143). */
  readonly terminatedIsDone: boolean;
  readonly timeoutMs?: number;
}

export interface ShutdownHooks {
  /** The process has been asked to end: the first signal, or an error that nobody caught. */
  stopping(why: { readonly signal: string | null; readonly error: unknown }): void;
  /** It did not end in time, and is ended now. */
  timedOut(): void;
}

/**
 * The end of a process. The first SIGTERM, SIGINT or SIGHUP (or an error that nobody caught) aborts `signal` and waits
 * for `finish`; a second signal, or a stop that takes longer than the timeout, ends the process at once, which loses
 * nothing: what was not stored is read again (I7).
 */
export class Shutdown {
  readonly #controller = new AbortController();
  readonly #finished = Promise.withResolvers<number>();
  readonly #uninstall: () => void;
  readonly #terminatedIsDone: boolean;
  #signal: string | null = null;
  #crashed = false;

  constructor(hooks: ShutdownHooks, { terminatedIsDone, timeoutMs = stopTimeoutMs }: ShutdownOptions) {
    this.#terminatedIsDone = terminatedIsDone;
    const grace = closeWithGrace(
      {
        delay: timeoutMs,
        logger: false,
        // SIGUSR2 changes the log level; the end of the event loop and crashes of the runtime keep what Node does.
        skip: ["SIGUSR2", "SIGQUIT", "SIGILL", "SIGTRAP", "SIGABRT", "SIGBUS", "SIGFPE", "SIGSEGV", "beforeExit"],
        onTimeout: () => {
          // I7: the next start goes on from what is stored, however this one ends.
          hooks.timedOut();
          process.exit(1);
        },
        onSecondSignal: (signal) => process.exit(interrupted(signal)),
        onSecondError: () => process.exit(1),
      },
      async ({ signal, err }) => {
        this.#signal = signal ?? null;
        this.#crashed = err !== undefined;
        hooks.stopping({ signal: this.#signal, error: err });
        this.#controller.abort();
        // Left to the library it would be 0 or 1.
        process.exit(await this.#finished.promise);
      },
    );
    this.#uninstall = () => {
      grace.uninstall();
    };
  }

  /** Aborted when the process has been asked to end. */
  get signal(): AbortSignal {
    return this.#controller.signal;
  }

  /** All is closed, and the work came to `result`: answers the exit code, and ends the process if it was asked to end. */
  finish(result: number): number {
    this.#uninstall();
    const code = this.#crashed ? 1 : this.#codeAfter(result);
    this.#finished.resolve(code);
    return code;
  }

  #codeAfter(result: number): number {
    if (result !== 0 || this.#signal === null) return result;
    return this.#signal === "SIGTERM" && this.#terminatedIsDone ? 0 : interrupted(this.#signal);
  }
}

/** 130 for Ctrl-C, as shells count it. */
function interrupted(signal: string): number {
  return 128 + (signalNumbers[signal] ?? 0);
}
