import { DataTraceError } from "@datatrace/core";
import { fastify } from "fastify";
import type { FastifyInstance } from "fastify";
import { Type } from "typebox";
import type { Readiness } from "./health.ts";
import { logLevels } from "./log-level.ts";
import type { LogLevel } from "./log-level.ts";

export interface AdminContext {
  readonly health: { readiness(): Readiness };
  readonly metrics: { readonly contentType: string; text(): Promise<string> };
  readonly logger: { level: LogLevel };
}

/** Health, metrics and the log level of one process. Not yet listening: tests inject requests. */
export function adminApp({ health, metrics, logger }: AdminContext): FastifyInstance {
  // Open connections of a scraper must not hold up the end of the process.
  const app = fastify({ forceCloseConnections: true, bodyLimit: 1024 });
  app.get("/health/live", () => ({ live: true }));
  app.get("/health/ready", async (_, reply) => {
    const readiness = health.readiness();
    return reply.code(readiness.ready ? 200 : 503).send(readiness);
  });
  app.get("/metrics", async (_, reply) => reply.type(metrics.contentType).send(await metrics.text()));
  app.get("/log-level", () => ({ level: logger.level }));
  const level = Type.Object({ level: Type.Enum([...logLevels]) }, { additionalProperties: false });
  app.put<{ Body: { level: LogLevel } }>("/log-level", { schema: { body: level } }, async (request, reply) => {
    // Everybody may look; only who is on this machine may change something.
    if (!/^(127\.|::1$|::ffff:127\.)/.test(request.ip)) return reply.code(403).send({ error: "loopback only" });
    logger.level = request.body.level;
    return { level: logger.level };
  });
  return app;
}

export interface AdminAddress {
  readonly host: string;
  /** 0 = any free port. */
  readonly port: number;
  /** When the port is taken: a free one instead of an error. For the default port, which nobody asked for. */
  readonly orAnyPort: boolean;
}

export interface AdminServer extends AsyncDisposable {
  /** Such as `http://127.0.0.1:7171`. */
  readonly url: string;
}

/** @throws DataTraceError `config.port_taken`. */
export async function openAdminServer(context: AdminContext, address: AdminAddress): Promise<AdminServer> {
  const { host, port } = address;
  const app = adminApp(context);
  try {
    const url = await app.listen({ host, port });
    return { url, [Symbol.asyncDispose]: () => app.close() };
  } catch (error) {
    await app.close();
    const { code } = error as NodeJS.ErrnoException;
    if (code === "EADDRINUSE" && address.orAnyPort) {
      return openAdminServer(context, { host, port: 0, orAnyPort: false });
    }
    if (code === "EADDRINUSE") throw new DataTraceError("config.port_taken", { cause: error, detail: { host, port } });
    throw new DataTraceError("config.usage", {
      cause: error,
      message: "The address for health and metrics cannot be used.",
      detail: { host, port, reason: code ?? "unknown" },
      fix: "Give another one with `--host` and `--port`.",
    });
  }
}
