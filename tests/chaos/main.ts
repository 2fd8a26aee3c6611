import { tmpdir } from "node:os";
import { join } from "node:path";
import { temporaryDirectory } from "@datatrace/testkit";
import { Arena } from "./arena.ts";
import { dealRounds, faultNamed } from "./deck.ts";
import type { RoundSize } from "./deck.ts";
import { parseChaosOptions } from "./options.ts";
import { belowMark, countHits } from "./report.ts";
import { fullRound, removeFolder, runRound } from "./round.ts";
import type { RoundReport } from "./round.ts";

/**
 * Nothing lost, nothing twice: rounds of random load under random faults. Each line of output is the report of a
 * round, the last but one the counts of all faults, the last `N passed, N failed`.
 */

const fullSize: RoundSize = { atFailpoints: 2, plain: 3 };
const shortSize: RoundSize = { atFailpoints: 5, plain: 3 };
/** Hits of each fault that a full run must have; a run of fewer rounds cannot reach every fault that often. */
const fullMark = { rounds: 100, hits: 3 };
const shortShare = 0.3;

function print(line: unknown): void {
  process.stdout.write(`${JSON.stringify(line)}\n`);
}

/** What happens inside of a round is only of interest to somebody who replays it. */
function watch(line: string): void {
  if (options.only !== null) process.stderr.write(`${line}\n`);
}

const options = parseChaosOptions(process.argv.slice(2));
const dealt = dealRounds(options.seed, options.rounds, options.short ? shortSize : fullSize);
const { faults: chosen } = options;
const plans =
  chosen === null
    ? dealt
    : dealt.map((plan) => ({ ...plan, faults: chosen.map((name) => faultNamed(name, plan.random)) }));
const reports: RoundReport[] = [];
{
  await using folder = await temporaryDirectory("chaos");
  await using arena = await Arena.open();
  for (const [index, plan] of plans.entries()) {
    if (options.only !== null && options.only !== index) continue;
    const roundFolder = join(options.keep ? tmpdir() : folder.path, `chaos-${options.seed}-${index}`);
    const report = await runRound(arena, roundFolder, index, plan, fullRound, watch);
    reports.push(report);
    print(report);
    if (!report.ok) {
      const short = options.short ? " --short" : "";
      print({
        replay: `npm run chaos -- --seed ${options.seed} --rounds ${options.rounds}${short} --only ${index} --keep`,
      });
    }
    if (options.keep) print({ kept: roundFolder });
    else await removeFolder(roundFolder);
  }
}

const hits = countHits(reports);
const mark = options.only === null && options.rounds >= fullMark.rounds ? fullMark.hits : 1;
const below = belowMark(hits, mark);
const enough =
  options.only !== null ||
  options.faults !== null ||
  (mark === fullMark.hits ? below.length === 0 : below.length <= hits.size * (1 - shortShare));
if (options.only === null) {
  print({ seed: options.seed, hits: Object.fromEntries(hits), below, mark, coverage: enough ? "ok" : "too few hits" });
}
const failed = reports.filter((report) => !report.ok).length + (enough ? 0 : 1);
process.stdout.write(`${reports.length - reports.filter((report) => !report.ok).length} passed, ${failed} failed\n`);
process.exitCode = failed === 0 ? 0 : 1;
