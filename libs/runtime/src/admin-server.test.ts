import { expect, test } from "vitest";
import { adminApp, openAdminServer } from "./admin-server.ts";
import type { AdminContext } from "./admin-server.ts";
import { Health } from "./health.ts";

function context(): AdminContext & { readonly health: Health } {
  return {
    health: new Health(),
    metrics: { contentType: "text/plain; version=0.0.4", text: () => Promise.resolve("datatrace_rows_total 3\n") },
    logger: { level: "info" },
  };
}

test("health, metrics and log level", async () => {
  const parts = context();
  const app = adminApp(parts);
  expect((await app.inject("/health/live")).statusCode).toBe(200);
  expect((await app.inject("/health/ready")).statusCode).toBe(503);
  parts.health.set("capture shop", "running");
  const ready = await app.inject("/health/ready");
  expect(ready.statusCode).toBe(200);
  expect(ready.json()).toMatchObject({ ready: true, parts: [{ part: "capture shop", state: "running" }] });
  const metrics = await app.inject("/metrics");
  expect(metrics.body).toBe("datatrace_rows_total 3\n");
  expect(metrics.headers["content-type"]).toContain("version=0.0.4");
  expect((await app.inject("/log-level")).json()).toEqual({ level: "info" });
  expect((await app.inject({ method: "PUT", url: "/log-level", payload: { level: "debug" } })).statusCode).toBe(200);
  expect(parts.logger.level).toBe("debug");
  expect((await app.inject({ method: "PUT", url: "/log-level", payload: { level: "loud" } })).statusCode).toBe(400);
  const foreign = { method: "PUT", url: "/log-level", payload: { level: "error" }, remoteAddress: "10.0.0.7" } as const;
  expect((await app.inject(foreign)).statusCode).toBe(403);
  expect(parts.logger.level).toBe("debug");
});

test("a taken port is an error when it was asked for, else another one is used", async () => {
  await using first = await openAdminServer(context(), { host: "127.0.0.1", port: 0, orAnyPort: false });
  const port = Number(new URL(first.url).port);
  await expect(openAdminServer(context(), { host: "127.0.0.1", port, orAnyPort: false })).rejects.toMatchObject({
    code: "config.port_taken",
  });
  await using second = await openAdminServer(context(), { host: "127.0.0.1", port, orAnyPort: true });
  expect(second.url).not.toBe(first.url);
  expect((await fetch(`${second.url}/health/live`)).status).toBe(200);
});

test("an address that is not of this machine", async () => {
  await expect(openAdminServer(context(), { host: "192.0.2.1", port: 0, orAnyPort: true })).rejects.toMatchObject({
    code: "config.usage",
  });
});
