import { claim, applyPatiently, item, never, prepare, unitOf } from "./sink-fixture.ts";
import type { OpenSink, SinkLimits } from "./sink-harness.ts";

// Runs as a process of its own: see sink-owner-process.ts.
const [module = "", target = "", limits = "{}"] = process.argv.slice(2);
const { openSink } = (await import(module)) as { readonly openSink: OpenSink };
await using sink = openSink(target, JSON.parse(limits) as SinkLimits);
await sink.open(never);
await prepare(sink);
const taken = await claim(sink);
const outcome = await applyPatiently(sink, unitOf(taken, { upserts: [item(1, "owner")] }));
console.log(`outcome ${outcome.kind}`);
