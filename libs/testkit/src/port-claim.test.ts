import { once } from "node:events";
import { existsSync, writeFileSync } from "node:fs";
import { createServer } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { expect, test } from "vitest";
import { claimPort } from "./port-claim.ts";

const fileOf = (port: number): string => join(tmpdir(), `datatrace-ports-${process.getuid?.() ?? ""}`, String(port));

test("claims are distinct, free to listen on, and given back", async () => {
  const claims = await Promise.all(Array.from({ length: 50 }, () => claimPort()));
  const ports = claims.map(({ port }) => port);
  expect(new Set(ports).size).toBe(50);
  const [first = 0] = ports;
  const server = createServer().listen(first, "127.0.0.1");
  await once(server, "listening");
  server.close();
  for (const claim of claims) claim[Symbol.dispose]();
  expect(ports.filter((port) => existsSync(fileOf(port)))).toEqual([]);
});

test("a port that is claimed, or listened on by somebody else, is passed over", async () => {
  using one = await claimPort();
  using two = await claimPort();
  const { port: listening } = two;
  const server = createServer().listen(listening, "127.0.0.1");
  await once(server, "listening");
  two[Symbol.dispose]();
  await expect(claimPort([one.port, listening])).rejects.toThrow("no free port");
  server.close();
  await once(server, "close");
  using again = await claimPort([one.port, listening]);
  expect(again.port).toBe(listening);
});

test("a claim whose owner is dead does not hold", async () => {
  const { port, [Symbol.dispose]: release } = await claimPort();
  release();
  // No process has this pid: it is above every limit.
  writeFileSync(fileOf(port), "99999999");
  using claim = await claimPort([port, port]);
  expect(claim.port).toBe(port);
});
