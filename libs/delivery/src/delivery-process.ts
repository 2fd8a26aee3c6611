import { openSqliteEventLog } from "@datatrace/event-log-sqlite";
import { RecordingLogger } from "@datatrace/testkit";
import { capture, deliveryId, openTarget, quickTiming, targetOf } from "./delivery-bed.ts";
import { openDelivery } from "./delivery.ts";

// A member in a process of its own, to be killed and frozen: see member-process.ts.
const [url = "", directory = ""] = process.argv.slice(2);
const stop = new AbortController();
process.on("SIGTERM", () => stop.abort(new Error("asked to stop")));
await using log = await openSqliteEventLog({ directory, leaseMs: 1500 });
await using sink = openTarget(url);
await using delivery = openDelivery({
  delivery: deliveryId,
  capture,
  log,
  registry: log.registry,
  sink,
  target: targetOf,
  strategy: "fail",
  errorStrategy: "quarantine",
  batchRows: 20,
  timing: quickTiming,
  logger: new RecordingLogger(),
  signal: stop.signal,
});
console.log("ready");
await delivery.run();
console.log("stopped");
