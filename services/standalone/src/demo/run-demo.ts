import { temporaryDirectory } from "@datatrace/testkit";
import { ChaosMonkey } from "./chaos-monkey.ts";
import { Dashboard } from "./dashboard.ts";
import { Heartbeat } from "./heartbeat.ts";
import { ProgressReader } from "./log-progress.ts";
import type { DemoOptions } from "./options.ts";
import { Part, runCli } from "./part.ts";
import type { PartOptions } from "./part.ts";
import { Screen } from "./screen.ts";
import { compareShops } from "./shop-comparison.ts";
import { createShop, dropShop, openShopDatabase } from "./shop-database.ts";
import type { ShopDatabase } from "./shop-database.ts";
import { embeddedShopLog, kafkaShopLog } from "./shop-log.ts";
import type { ShopLog } from "./shop-log.ts";
import { pipelineEnvironment, writePipeline } from "./shop-pipeline.ts";
import { shopSize } from "./shop-schema.ts";
import { ShopWorkload } from "./shop-workload.ts";

const transactionsPerSecond = 200;
const drainDeadlineMs = 120_000;

/** The whole demo; answers the exit code. When `signal` is aborted it ends as cleanly as after `--once`, uncompared. */
export async function runDemo(options: DemoOptions, signal: AbortSignal): Promise<number> {
  using screen = new Screen(process.stdout);
  const sourceUrl = process.env["SOURCE_DATABASE_URL"] ?? process.env["DATABASE_URL"] ?? null;
  const targetUrl = process.env["TARGET_DATABASE_URL"] ?? null;
  await using folder = await temporaryDirectory("demo");
  await using servers = new AsyncDisposableStack();
  const log = servers.use(options.kafka ? await kafkaShopLog(process.env) : embeddedShopLog);
  const [source, target] = await Promise.all([
    openShopDatabase("source", sourceUrl),
    openShopDatabase("target", targetUrl),
  ]);
  servers.use(source);
  servers.use(target);
  const given = source.given || target.given || log.given;
  screen.say(`${source.version} -> ${log.name} -> ${target.version}${options.kill ? ", parts killed at random" : ""}`);
  const file = await writePipeline(folder.path, log.lines);
  const env = { ...pipelineEnvironment(source.url, target.url), ...log.env };
  const cli = (...args: string[]): PartOptions => ({ args, env });
  // A demo that was killed has left its slot and its schema on somebody's server.
  if (given) await takeAway(screen, cli("decommission", file, "--yes", "--json"), [source, target]);
  const size = shopSize(options.rows);
  await createShop(source, target, size);
  screen.say(
    `a web shop with about ${options.rows.toLocaleString("en-US")} rows, ${transactionsPerSecond} transactions/s`,
  );

  // Parts that are killed, or are services on Kafka, are processes of their own; otherwise one process does everything.
  const parts =
    options.kill || options.kafka
      ? [
          new Part("capture", cli("run", file, "--json", "--port", "0", "--only", "capture")),
          new Part("sink", cli("run", file, "--json", "--port", "0", "--only", "sink")),
        ]
      : [new Part("pipeline", cli("run", file, "--json", "--port", "0"))];
  const workload = new ShopWorkload(source.url, size, transactionsPerSecond);
  const heartbeat = new Heartbeat(source.url, target.url);
  const monkey = options.kill ? new ChaosMonkey(victims(parts, log, source, target)) : null;
  await using progress = await ProgressReader.open(file, env, target.url);
  const dashboard = new Dashboard({ screen, progress, workload, heartbeat, parts, monkey });
  let code = 0;
  try {
    for (const part of parts) part.start();
    workload.start();
    heartbeat.start();
    monkey?.start();
    const ended = AbortSignal.any([
      signal,
      ...(options.onceSeconds === null ? [] : [AbortSignal.timeout(options.onceSeconds * 1_000)]),
    ]);
    await dashboard.showUntil(ended, false);
    await workload.stop();
    await heartbeat.stop();
    await monkey?.stop();
    await Promise.all(parts.map(async (part) => await part.stop()));
    if (options.onceSeconds !== null && !signal.aborted) {
      code = await drainAndCompare(
        screen,
        dashboard,
        cli("run", file, "--until-caught-up", "--json", "--port", "0"),
        source,
        target,
        signal,
      );
    }
  } finally {
    await Promise.allSettled([
      workload.stop(),
      heartbeat.stop(),
      monkey?.stop(),
      ...parts.map(async (part) => await part.stop()),
    ]);
    if (given) await takeAway(screen, cli("decommission", file, "--yes", "--json"), [source, target]);
  }
  if (monkey !== null) screen.say(`${monkey.kills.count} kills`);
  return code;
}

function victims(parts: readonly Part[], log: ShopLog, source: ShopDatabase, target: ShopDatabase) {
  const servers = [
    { name: "source server", crash: source.crash },
    { name: "target server", crash: target.crash },
  ];
  return [
    ...parts.map((part) => ({ name: part.name, crash: () => part.kill() })),
    ...log.victims,
    ...servers.flatMap(({ name, crash }) => (crash === null ? [] : [{ name, crash }])),
  ];
}

async function drainAndCompare(
  screen: Screen,
  dashboard: Dashboard,
  drain: PartOptions,
  source: ShopDatabase,
  target: ShopDatabase,
  signal: AbortSignal,
): Promise<number> {
  screen.say("load stopped, draining");
  const begunMs = performance.now();
  const over = new AbortController();
  const showing = dashboard.showUntil(over.signal, true);
  const drained = await runCli(drain, AbortSignal.any([signal, AbortSignal.timeout(drainDeadlineMs)]));
  over.abort();
  await showing;
  if (signal.aborted) return 130;
  if (drained.code !== 0) {
    const { problem } = drained;
    screen.say(problem === null ? "not drained in time" : `${problem.code}: ${problem.message} fix: ${problem.fix}`);
    return 1;
  }
  screen.say(`drained in ${((performance.now() - begunMs) / 1_000).toFixed(1)} s, comparing row by row`);
  const comparison = await compareShops(source.url, target.url, signal);
  for (const line of comparison.tables) screen.say(line);
  screen.say(`${comparison.rows} rows compared, ${comparison.differ} differ`);
  return comparison.differ === 0 && comparison.rows > 0 ? 0 : 1;
}

/** On somebody's own servers: slot, publication, helper tables, topics, and the demo's schema. */
async function takeAway(screen: Screen, decommission: PartOptions, sides: readonly ShopDatabase[]): Promise<void> {
  const removed = await runCli(decommission, AbortSignal.timeout(30_000));
  if (removed.code !== 0) screen.say(`decommission failed: ${removed.problem?.message ?? "no reason given"}`);
  for (const side of sides) if (side.given) await dropShop(side);
}
