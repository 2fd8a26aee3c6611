import { temporaryDirectory } from "@datatrace/testkit";
import type { EventLogHarness } from "@datatrace/testkit";

import { openSqliteEventLog } from "./sqlite-event-log.ts";
import type { ChildParameters } from "./test-child.ts";

/** A new directory with a log, for contract suites; leases are short so that a dead member is noticed soon. */
export async function sqliteHarness(
  options: { readonly maxSizeBytes?: number } = {},
): Promise<EventLogHarness & { readonly directory: string }> {
  const directory = await temporaryDirectory("event-log");
  const parameters: ChildParameters = { directory: directory.path, leaseMs: 2000, ...options };
  return {
    directory: directory.path,
    open: () => openSqliteEventLog(parameters),
    child: { module: new URL("./test-child.ts", import.meta.url).href, parameters: JSON.stringify(parameters) },
    reclaim: async (log) => {
      if (!(log instanceof Object && "reclaim" in log && typeof log.reclaim === "function"))
        throw new Error("not SQLite");
      await log.reclaim();
    },
    [Symbol.asyncDispose]: () => directory[Symbol.asyncDispose](),
  };
}
