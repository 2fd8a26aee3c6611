import type { CapturePart } from "./capture-part.ts";
import type { DeliveryPart } from "./delivery-part.ts";
import type { PartLook } from "./run-part.ts";
import type { CommandContext } from "../command-context.ts";
import type { Screen } from "../screen.ts";
import { renderRun } from "./run-view.ts";
import type { CaptureView, DeliveryView, RunView } from "./run-view.ts";

const terminalMs = 250;
const recordMs = 1000;

/** Shows how a run goes: in place on a terminal, a JSON line a second with `--json`, else not at all. */
export class RunProgress implements Disposable {
  readonly #captures: readonly CapturePart[];
  readonly #deliveries: readonly DeliveryPart[];
  readonly #timer: NodeJS.Timeout | null;
  readonly #screen: Screen;

  constructor({ output }: CommandContext, captures: readonly CapturePart[], deliveries: readonly DeliveryPart[]) {
    const { screen } = output;
    this.#screen = screen;
    this.#captures = captures;
    this.#deliveries = deliveries;
    if (output.json) {
      this.#timer = setInterval(() => {
        output.record("progress", { ...this.#view() });
      }, recordMs);
    } else if (screen.isTerminal) {
      this.#timer = setInterval(() => {
        screen.draw(renderRun(this.#view()));
      }, terminalMs);
    } else {
      this.#timer = null;
    }
  }

  #view(): RunView {
    return {
      captures: this.#captures.map((part) => captureView(part)),
      deliveries: this.#deliveries.map((part) => deliveryView(part)),
    };
  }

  /** The last picture stays; what is said from then on comes below it. */
  [Symbol.dispose](): void {
    if (this.#timer !== null) clearInterval(this.#timer);
    this.#screen[Symbol.dispose]();
  }
}

function problemOf({ error }: PartLook): string | null {
  return error === null ? null : `${error.code}: ${error.message} fix: ${error.fix}`;
}

function captureView(part: CapturePart): CaptureView {
  const { state, tables, lagBytes, lagSeconds } = part.capture.status();
  const snapshotting = tables.filter(({ phase }) => phase === "snapshotting" || phase === "pending");
  const sum = (field: "rowsRead" | "estimatedRows" | "rowsPerSecond") =>
    snapshotting.reduce((total, table) => total + table[field], 0);
  return {
    source: part.endpoint.id,
    state,
    tables: {
      all: tables.length,
      snapshotting: snapshotting.length,
      parked: tables.filter(({ phase }) => phase === "parked").length,
    },
    snapshot: { rows: sum("rowsRead"), estimatedRows: sum("estimatedRows"), rowsPerSecond: sum("rowsPerSecond") },
    lagBytes,
    lagSeconds,
    problem: problemOf(part.look()),
  };
}

function deliveryView(part: DeliveryPart): DeliveryView {
  const look = part.look();
  return {
    task: part.task.id,
    target: part.target,
    state: look.state,
    lagRows: Number(part.status().lagRows),
    rowsPerSecond: part.rowsPerSecond(),
    p50Seconds: part.latencies.quantile(0.5),
    p99Seconds: part.latencies.quantile(0.99),
    problem: problemOf(look),
  };
}
