import { describeEventLog, describeSchemaRegistry } from "@datatrace/testkit/suites";

import { openSqliteEventLog } from "./sqlite-event-log.ts";
import { sqliteHarness } from "./test-harness.ts";

describeEventLog("SQLite", sqliteHarness);

describeSchemaRegistry("SQLite", async () => {
  const harness = await sqliteHarness();
  return {
    open: async () => {
      const log = await openSqliteEventLog({ directory: harness.directory });
      return Object.assign(log.registry, { [Symbol.asyncDispose]: () => log[Symbol.asyncDispose]() });
    },
    [Symbol.asyncDispose]: () => harness[Symbol.asyncDispose](),
  };
});
