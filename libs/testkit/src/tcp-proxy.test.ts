import { once } from "node:events";
import { connect, createServer } from "node:net";
import type { Socket } from "node:net";
import { expect, test } from "vitest";
import { claimPort } from "./port-claim.ts";
import { TcpProxy } from "./tcp-proxy.ts";
import { waitFor } from "./wait-for.ts";

const deadlineMs = 5000;

/** Answers each chunk with `ok:` and the chunk, and remembers what it was sent. */
async function startEcho(): Promise<AsyncDisposable & { port: number; received: () => string }> {
  let received = "";
  const claim = await claimPort();
  const sockets = new Set<Socket>();
  const server = createServer((socket) => {
    sockets.add(socket);
    socket.on("error", () => undefined);
    socket.on("data", (chunk: Buffer) => {
      received += chunk.toString();
      socket.write(`ok:${chunk.toString()}`);
    });
  });
  server.listen(claim.port, "127.0.0.1");
  await once(server, "listening");
  return {
    port: claim.port,
    received: () => received,
    [Symbol.asyncDispose]: async () => {
      for (const socket of sockets) socket.destroy();
      server.close();
      await once(server, "close");
      claim[Symbol.dispose]();
    },
  };
}

interface Client extends Disposable {
  readonly socket: Socket;
  received(): string;
  failure(): string | undefined;
  ended(): boolean;
}

async function dial(port: number): Promise<Client> {
  let received = "";
  let failure: string | undefined;
  let ended = false;
  const socket = connect({ port, host: "127.0.0.1" });
  socket.on("data", (chunk: Buffer) => {
    received += chunk.toString();
  });
  socket.on("error", (error: NodeJS.ErrnoException) => {
    failure = error.code;
  });
  socket.on("close", () => {
    ended = true;
  });
  await waitFor(() => !socket.connecting, { deadlineMs, what: "the connection" });
  return {
    socket,
    received: () => received,
    failure: () => failure,
    ended: () => ended,
    [Symbol.dispose]: () => {
      socket.destroy();
    },
  };
}

test("forwards both ways, and hands an end on", async () => {
  await using echo = await startEcho();
  await using proxy = await TcpProxy.start(echo.port);
  using client = await dial(proxy.port);
  client.socket.end("hello");
  await waitFor(() => client.ended(), { deadlineMs, what: "the end" });
  expect(client.received()).toBe("ok:hello");
  expect(client.failure()).toBeUndefined();
  await waitFor(() => proxy.connections === 0, { deadlineMs, what: "the connection to be forgotten" });
});

test("carries megabytes unchanged through back-pressure", async () => {
  await using echo = await startEcho();
  await using proxy = await TcpProxy.start(echo.port);
  using client = await dial(proxy.port);
  const sent = "0123456789abcdef".repeat(200_000);
  client.socket.write(sent);
  await waitFor(() => client.received().replaceAll("ok:", "").length === sent.length, { deadlineMs, what: "the echo" });
  expect(echo.received()).toBe(sent);
});

test("cut resets every connection", async () => {
  await using echo = await startEcho();
  await using proxy = await TcpProxy.start(echo.port);
  using one = await dial(proxy.port);
  using two = await dial(proxy.port);
  one.socket.write("x");
  await waitFor(() => one.received() === "ok:x", { deadlineMs, what: "the echo" });
  await waitFor(() => proxy.connections === 2, { deadlineMs, what: "two connections" });
  expect(proxy.cut()).toBe(2);
  await waitFor(() => one.ended() && two.ended(), { deadlineMs, what: "the resets" });
  expect([one.failure(), two.failure()]).toEqual(["ECONNRESET", "ECONNRESET"]);
  using three = await dial(proxy.port);
  three.socket.write("y");
  await waitFor(() => three.received() === "ok:y", { deadlineMs, what: "a new connection to work" });
});

test.for([
  { cut: "before" as const, server: "", client: "" },
  { cut: "after" as const, server: "COMMIT", client: "" },
  { cut: "answer" as const, server: "COMMIT", client: "" },
])("cut $cut a matching request", async ({ cut, server, client: answer }) => {
  await using echo = await startEcho();
  await using proxy = await TcpProxy.start(echo.port);
  using client = await dial(proxy.port);
  const plan = proxy.cutOn({ direction: "to-server", match: "COMMIT", cut });
  client.socket.write("BEGIN");
  await waitFor(() => client.received() === "ok:BEGIN", { deadlineMs, what: "the first answer" });
  client.socket.write("COMMIT");
  await plan.fired;
  await waitFor(() => client.ended(), { deadlineMs, what: "the reset" });
  await waitFor(() => echo.received().slice("BEGIN".length) === server, { deadlineMs, what: "the server's part" });
  expect(client.received().slice("ok:BEGIN".length)).toBe(answer);
  expect(client.failure()).toBe("ECONNRESET");
});

test("a planned cut is made once, after the matches it skips", async () => {
  await using echo = await startEcho();
  await using proxy = await TcpProxy.start(echo.port);
  const plan = proxy.cutOn({ direction: "to-client", match: "ok", cut: "before", skip: 1 });
  using client = await dial(proxy.port);
  client.socket.write("a");
  await waitFor(() => client.received() === "ok:a", { deadlineMs, what: "the skipped match" });
  client.socket.write("b");
  await plan.fired;
  using next = await dial(proxy.port);
  next.socket.write("c");
  await waitFor(() => next.received() === "ok:c", { deadlineMs, what: "an uncut connection" });
  expect(client.received()).toBe("ok:a");
});

test("cutAfter delivers exactly that many bytes", async () => {
  await using echo = await startEcho();
  await using proxy = await TcpProxy.start(echo.port);
  const plan = proxy.cutAfter("to-client", 5);
  using client = await dial(proxy.port);
  client.socket.write("hello");
  await plan.fired;
  await waitFor(() => client.ended(), { deadlineMs, what: "the reset" });
  expect(client.received()).toBe("ok:he");
});

test("delay holds bytes back, a blackhole holds them until it ends", async () => {
  await using echo = await startEcho();
  await using proxy = await TcpProxy.start(echo.port);
  using client = await dial(proxy.port);
  proxy.delay(40);
  const start = performance.now();
  client.socket.write("a");
  await waitFor(() => client.received() === "ok:a", { deadlineMs, what: "the late answer" });
  // One way and the other; timers may be a millisecond early.
  expect(performance.now() - start).toBeGreaterThanOrEqual(78);
  proxy.delay(0);
  proxy.blackhole();
  client.socket.write("b");
  using other = await dial(proxy.port);
  other.socket.write("c");
  await waitFor(() => proxy.connections === 2, { deadlineMs, what: "a connection into the hole" });
  expect(echo.received()).toBe("a");
  proxy.restore();
  await waitFor(() => client.received() === "ok:aok:b" && other.received() === "ok:c", {
    deadlineMs,
    what: "the rest",
  });
});

test("refuse turns new connections away and leaves the others", async () => {
  await using echo = await startEcho();
  await using proxy = await TcpProxy.start(echo.port);
  using client = await dial(proxy.port);
  client.socket.write("a");
  await waitFor(() => client.received() === "ok:a", { deadlineMs, what: "the echo" });
  await proxy.refuse();
  using refused = await dial(proxy.port);
  await waitFor(() => refused.ended(), { deadlineMs, what: "the refusal" });
  expect(refused.failure()).toBe("ECONNREFUSED");
  client.socket.write("b");
  await waitFor(() => client.received() === "ok:aok:b", { deadlineMs, what: "the old connection" });
  await proxy.accept();
  using again = await dial(proxy.port);
  again.socket.write("c");
  await waitFor(() => again.received() === "ok:c", { deadlineMs, what: "a new connection" });
});
