import { spawn } from "node:child_process";
import { existsSync, readdirSync } from "node:fs";
import { request } from "node:https";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { expect, test } from "vitest";
import { isAlive, isStopped } from "./process-tree.ts";
import { startSchemaRegistry } from "./registry-server.ts";
import { localCertificate } from "./local-certificate.ts";
import { testSchemaRegistry } from "./test-registry.ts";
import { waitFor } from "./wait-for.ts";

const deadlineMs = 30_000;

function record(...fields: readonly string[]): string {
  return JSON.stringify({ type: "record", name: "r", fields: fields.map((name) => ({ name, type: "long" })) });
}

async function register(url: string, subject: string, schema: string): Promise<Response> {
  return fetch(`${url}/subjects/${subject}/versions`, {
    method: "POST",
    headers: { "content-type": "application/vnd.schemaregistry.v1+json" },
    body: JSON.stringify({ schema }),
  });
}

test("keeps its schemas, port and url through restart and kill, and refuses what is not BACKWARD", async () => {
  await using server = await startSchemaRegistry();
  const { url, pid } = server;
  const first = await register(url, "s", record("a"));
  expect(await first.json()).toMatchObject({ id: expect.any(Number) as number });
  expect((await register(url, "s", record("a", "b"))).status).toBe(409);
  await server.kill();
  await expect(fetch(`${url}/subjects`)).rejects.toThrow("fetch failed");
  await server.start();
  expect(server.pid).not.toBe(pid);
  await expect(server.start()).rejects.toThrow("runs already");
  expect(await (await fetch(`${url}/subjects`)).json()).toEqual(["s"]);
  await server.restart();
  expect(await (await fetch(`${url}/subjects`)).json()).toEqual(["s"]);
  await server.stop();
  await server.stop();
  expect(server.pid).toBeUndefined();
  expect(await server.log()).toContain("Installed features");
});

test("answers nothing while it is frozen, and goes on after", async () => {
  await using server = await startSchemaRegistry({ compatibility: "NONE" });
  expect((await register(server.url, "s", record("a"))).status).toBe(200);
  expect((await register(server.url, "s", record("b"))).status).toBe(200);
  await server.freeze();
  expect(isStopped(server.pid ?? 0)).toBe(true);
  await expect(fetch(`${server.url}/subjects`, { signal: AbortSignal.timeout(500) })).rejects.toThrow("timeout");
  await server.thaw();
  expect(await (await fetch(`${server.url}/subjects`)).json()).toEqual(["s"]);
});

test("speaks https with the certificate that it is given, and nothing else", async () => {
  await using server = await startSchemaRegistry({ tls: localCertificate });
  const { promise, resolve, reject } = Promise.withResolvers<number | undefined>();
  request(`${server.url}/subjects`, { ca: localCertificate.certificate, agent: false }, (response) => {
    response.resume();
    resolve(response.statusCode);
  })
    .on("error", reject)
    .end();
  expect(await promise).toBe(200);
  await expect(fetch(`${server.url.replace("https:", "http:")}/subjects`)).rejects.toThrow("fetch failed");
});

test("a registry at an url of somebody's own is used, and not stopped", async () => {
  await using server = await startSchemaRegistry();
  process.env["SCHEMA_REGISTRY_URL"] = server.url;
  try {
    {
      await using shared = await testSchemaRegistry();
      expect(shared.url).toBe(server.url);
    }
    expect((await fetch(`${server.url}/subjects`)).status).toBe(200);
  } finally {
    delete process.env["SCHEMA_REGISTRY_URL"];
  }
});

test("can be given up while it starts", async () => {
  const reason = new Error("enough");
  await expect(startSchemaRegistry({}, AbortSignal.abort(reason))).rejects.toBe(reason);
});

function folders(): readonly string[] {
  return readdirSync(tmpdir()).filter((name) => name.startsWith("datatrace-registry-"));
}

test("after kill -9 of its owner no server is left, nor any file", async () => {
  const before = folders();
  const program = `
import { startSchemaRegistry } from ${JSON.stringify(join(import.meta.dirname, "registry-server.ts"))};
const server = await startSchemaRegistry();
await server.freeze();
console.log(server.pid);
`;
  const owner = spawn(process.execPath, ["--input-type=module", "--eval", program], {
    stdio: ["ignore", "pipe", "inherit"],
  });
  let printed = "";
  owner.stdout.setEncoding("utf8").on("data", (data: string) => {
    printed += data;
  });
  await waitFor(() => printed.endsWith("\n"), { deadlineMs, what: "the server to start" });
  const pid = Number(printed);
  expect(isAlive(pid)).toBe(true);
  const home = folders().filter((name) => !before.includes(name));
  expect(home).toHaveLength(1);
  owner.kill("SIGKILL");
  await waitFor(() => !isAlive(pid), { deadlineMs, what: "the server to end" });
  await waitFor(() => !home.some((name) => existsSync(join(tmpdir(), name))), { deadlineMs, what: "the data to go" });
});
