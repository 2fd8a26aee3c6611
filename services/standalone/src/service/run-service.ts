import type { SinkConnector, SourceConnector } from "@datatrace/core";
import { collectSeldom, Health, Metrics, openAdminServer } from "@datatrace/runtime";
import type { Environment, StructuredLogger } from "@datatrace/runtime";
import { defaultPort } from "../command-line.ts";
import { openKafkaLog } from "../open-kafka-log.ts";
import { openLogger } from "../open-logger.ts";
import { noticeOf, Output } from "../output.ts";
import { levelSwitch } from "../run/level-switch.ts";
import { collectMetrics } from "../run/part-metrics.ts";
import { untilStopped } from "../until-stopped.ts";
import { captureRole, deliveryRole } from "./service-role.ts";
import type { ServiceRole } from "./service-role.ts";
import { parseServiceCommand, readServiceSettings } from "./service-settings.ts";
import type { ServiceInvocation, ServiceSettings } from "./service-settings.ts";
import { SpecService } from "./spec-service.ts";

const wrongUsage = 2;
/** How often the parts are looked at, for health. */
const observeMs = 500;

/**
 * What the `main.ts` of a connector runs: a replica of its service, until a signal ends it. Answers the exit code: 0 after
 * SIGTERM, 1 failed, 2 wrong usage, file or environment.
 */
export async function runService(
  connector: SourceConnector | SinkConnector,
  args: readonly string[],
  environment: Environment,
): Promise<number> {
  const role = connector.role === "source" ? captureRole(connector.type) : deliveryRole(connector.type);
  // A program reads it, unless somebody looks on.
  const output = new Output(!process.stderr.isTTY, process);
  let invocation: ServiceInvocation;
  let settings: ServiceSettings | null;
  try {
    invocation = parseServiceCommand(args, environment);
    settings = readServiceSettings(invocation, environment, output);
  } catch (error) {
    output.notice(noticeOf(error));
    return wrongUsage;
  }
  if (settings === null) return wrongUsage;
  const ready = settings;
  const logger = openLogger(invocation.logLevel ?? "info", output);
  return await untilStopped({ output, logger, terminatedIsDone: true }, async (signal) => {
    await serve(role, invocation, ready, logger, signal);
    return 0;
  });
}

async function serve(
  role: ServiceRole,
  { host, port }: ServiceInvocation,
  { log: settings, pipeline, keys }: ServiceSettings,
  logger: StructuredLogger,
  signal: AbortSignal,
): Promise<void> {
  if (role.kind === "deliveries") collectSeldom();
  await using log = await openKafkaLog(settings, { logger }, signal);
  const metrics = new Metrics({ manyPipelines: true });
  const health = new Health();
  const service = await SpecService.open({ role, settings, log, keys, health, metrics, logger }, signal);
  if (pipeline !== null) await service.publish(pipeline, signal);
  const readiness = () => {
    service.observe();
    return health.readiness();
  };
  metrics.collect = () => collectMetrics(metrics, readiness(), log, service.parts());
  await using admin = await openAdminServer(
    { health: { readiness }, metrics, logger },
    { host, port: port ?? defaultPort, orAnyPort: port === null },
  );
  using _level = levelSwitch(logger);
  logger.info("service started", { service: role.service, pid: process.pid, url: admin.url });
  const observer = setInterval(() => service.observe(), observeMs);
  try {
    await service.run(signal);
  } finally {
    clearInterval(observer);
    logger.info("service ended", { service: role.service });
  }
}
