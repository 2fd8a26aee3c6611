import { parentPort } from "node:worker_threads";

import { DataTraceError, invariant } from "@datatrace/core";

import { Cancelled } from "./busy-retry.ts";
import type { FromWorker, Operation, Operations, ToWorker } from "./protocol.ts";
import { toWire } from "./sqlite-error.ts";
import { Store } from "./store.ts";

invariant(parentPort !== null, "the log's thread is started as a worker");
const port = parentPort;

function send(message: FromWorker, transfer: ArrayBuffer[] = []): void {
  port.postMessage(message, transfer);
}

let store: Store | null = null;

async function carryOut<O extends Operation>(
  operation: O,
  request: Operations[O]["request"],
  id: number,
): Promise<unknown> {
  if (operation === "open") {
    store = await Store.open(request as Operations["open"]["request"], send);
    return null;
  }
  if (operation === "close") {
    store?.close();
    store = null;
    return null;
  }
  if (store === null) throw new DataTraceError("log.closed");
  const handler = store.handlers[operation as Exclude<O, "open" | "close">] as (
    request: Operations[O]["request"],
    id: number,
  ) => Promise<Operations[O]["answer"]>;
  return await handler(request, id);
}

async function answer<O extends Operation>(operation: O, request: Operations[O]["request"], id: number): Promise<void> {
  try {
    send({ kind: "answer", id, answer: await carryOut(operation, request, id) });
  } catch (error) {
    if (error instanceof Cancelled) send({ kind: "cancelled", id });
    else send({ kind: "failed", id, error: toWire(error) });
  } finally {
    if (operation === "close") port.close();
  }
}

port.on("message", (message: ToWorker) => {
  switch (message.kind) {
    case "request":
      void answer(message.operation, message.request, message.id);
      break;
    case "cancel":
      store?.cancel(message.id);
      break;
    case "fetch":
      store?.fetches.request(message);
      break;
  }
});
