import { once } from "node:events";
import { createServer } from "node:net";
import type { AddressInfo } from "node:net";
import { Secret } from "@datatrace/core";
import { expect, test } from "vitest";
import { parseConnectionUrl } from "./connection-settings.ts";
import { openPool } from "./session.ts";

function message(kind: string, body: Buffer): Buffer {
  const head = Buffer.alloc(5);
  head.write(kind);
  head.writeInt32BE(body.length + 4, 1);
  return Buffer.concat([head, body]);
}

/** A server that is shut down while it lets somebody in: "you are in" and "I am closing" come in one packet. */
const welcome = Buffer.concat([
  message("R", Buffer.alloc(4)),
  message("Z", Buffer.from("I")),
  message("E", Buffer.from("SFATAL\0C57P01\0Mterminating connection due to administrator command\0\0")),
]);

test("I7: a session that the server closes in the packet that opens it is lost, and the process lives", async () => {
  const server = createServer((socket) => {
    socket.on("error", () => undefined);
    socket.once("data", () => socket.write(welcome, () => socket.end()));
  });
  server.listen(0, "127.0.0.1");
  await once(server, "listening");
  const { port } = server.address() as AddressInfo;
  const pool = openPool(parseConnectionUrl(new Secret(`postgres://user@127.0.0.1:${port}/db?sslmode=disable`)), {
    applicationName: "test",
    settings: {},
    max: 1,
  });
  const session = await pool.connect();
  await expect(session.query("SELECT 1")).rejects.toThrow(/terminat|closed|not queryable/i);
  session.release(true);
  await pool.end();
  server.close();
});
