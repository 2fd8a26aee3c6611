import fc from "fast-check";
import { describe, it } from "vitest";
import type { CreateEventLog, EventLogHarness } from "./event-log-harness.ts";
import { EventLogModel } from "./event-log-model.ts";
import type { ModelRecord, ModelStep } from "./event-log-model-step.ts";

const recordCount = 10_000;

const record: fc.Arbitrary<ModelRecord> = fc.record({
  place: fc.nat(1000),
  key: fc.nat(30),
  tombstone: fc.boolean(),
  sizeBytes: fc.oneof({ weight: 20, arbitrary: fc.nat(300) }, { weight: 1, arbitrary: fc.nat(100_000) }),
});

const place = fc.nat(1000);

const step: fc.Arbitrary<ModelStep> = fc.oneof(
  {
    weight: 12,
    arbitrary: fc.record({
      kind: fc.constant("append" as const),
      records: fc.noBias(fc.array(record, { minLength: 1, maxLength: 120, size: "max" })),
    }),
  },
  { weight: 3, arbitrary: fc.constant({ kind: "read" } as const) },
  {
    weight: 3,
    arbitrary: fc.record({ kind: fc.constant("read_some" as const), polls: fc.integer({ min: 1, max: 3 }) }),
  },
  { weight: 3, arbitrary: fc.record({ kind: fc.constant("seek" as const), place, to: fc.nat(5000) }) },
  { weight: 1, arbitrary: fc.record({ kind: fc.constant("pause" as const), place }) },
  { weight: 2, arbitrary: fc.record({ kind: fc.constant("resume" as const), place }) },
  { weight: 2, arbitrary: fc.record({ kind: fc.constant("commit" as const), place }) },
  { weight: 1, arbitrary: fc.constant({ kind: "reclaim" } as const) },
  { weight: 2, arbitrary: fc.constant({ kind: "latest" } as const) },
  { weight: 1, arbitrary: fc.constant({ kind: "fence" } as const) },
  { weight: 1, arbitrary: fc.constant({ kind: "reopen_reader" } as const) },
  { weight: 1, arbitrary: fc.constant({ kind: "restart" } as const) },
);

export function describeModel(create: CreateEventLog): void {
  describe("model", () => {
    it("I3: a random run of 10,000 records, readers, seeks and restarts agrees with a list per partition", async () => {
      const seed = Number(process.env["EVENT_LOG_SEED"] ?? Math.floor(Math.random() * 2 ** 31));
      console.log(`event log model: EVENT_LOG_SEED=${seed}`);
      await using harness = await create();
      const total = { appended: 0 };
      for (let turn = 0; total.appended < recordCount; turn += 1) {
        await fc.assert(
          fc.asyncProperty(fc.array(step, { minLength: 40, maxLength: 60, size: "max" }), async (steps) => {
            total.appended += await run(harness, steps);
          }),
          { seed: seed + turn, numRuns: 2, endOnFailure: process.env["CI"] !== undefined },
        );
      }
    });
  });
}

async function run(harness: EventLogHarness, steps: readonly ModelStep[]): Promise<number> {
  await using model = await EventLogModel.open(harness);
  for (const one of steps) await model.step(one);
  await model.finish();
  return model.count;
}
