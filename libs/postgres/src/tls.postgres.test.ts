import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { Secret } from "@datatrace/core";
import { availablePostgres, startPostgres, waitFor } from "@datatrace/testkit";
import type { PostgresServer } from "@datatrace/testkit";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { parseConnectionUrl } from "./connection-settings.ts";
import { quoteText } from "./identifier.ts";
import { parseLsn } from "./lsn.ts";
import { postgresFailure } from "./postgres-failure.ts";
import { ReplicationConnection } from "./replication-connection.ts";
import { connect } from "./session.ts";

// Made for these tests, for `localhost` and 127.0.0.1; signed by itself. Guards nothing.
const certificate = `-----BEGIN CERTIFICATE-----
MIIBmzCCAUGgAwIBAgIUL0tWB1NPeJaNnVno1TjUhffYpRowCgYIKoZIzj0EAwIw
FDESMBAGA1UEAwwJbG9jYWxob3N0MCAXDTI2MTEyNDE4MTE1N1oYDzIxMjYxMDMx
MTgxMTU3WjAUMRIwEAYDVQQDDAlsb2NhbGhvc3QwWTATBgcqhkjOPQIBBggqhkjO
PQMBBwNCAAQihtsjWcz/VsZnUkQhoXl0bM4sKeQRiu6LrJSJBN0DJ7TLFcwAUzxr
+jQgKP2UDnrrCjLo3329NdORHGIOCq+Ho28wbTAdBgNVHQ4EFgQUJyrOItzSeYeP
MG24B6BI990EE54wHwYDVR0jBBgwFoAUJyrOItzSeYePMG24B6BI990EE54wDwYD
VR0TAQH/BAUwAwEB/zAaBgNVHREEEzARgglsb2NhbGhvc3SHBH8AAAEwCgYIKoZI
zj0EAwIDSAAwRQIhALZrsC4DKxdZ6QSK7QN0Zl248ioTKW5XoyIvbRcASj52AiBx
+Sooyu+huCKFBohCuKhvAoqd4EpFXPb6sdOV89Jy4Q==
-----END CERTIFICATE-----
`;
const key = `-----BEGIN PRIVATE KEY-----
MIGHAgEAMBMGByqGSM49AgEGCCqGSM49AwEHBG0wawIBAQQgGPN297lAHGRR+BBD
4WyLweRqEvxszMPqknkLouC29fqhRANCAAQihtsjWcz/VsZnUkQhoXl0bM4sKeQR
iu6LrJSJBN0DJ7TLFcwAUzxr+jQgKP2UDnrrCjLo3329NdORHGIOCq+H
-----END PRIVATE KEY-----
`;

describe.each(await availablePostgres())("PostgreSQL %i over TLS", (major) => {
  let server: PostgresServer;
  const folder = mkdtempSync(join(tmpdir(), "datatrace-tls-"));
  const ca = join(folder, "ca.pem");

  beforeAll(async () => {
    server = await startPostgres({ major });
    writeFileSync(ca, certificate);
    const session = await connect(parseConnectionUrl(new Secret(server.url)), { applicationName: "admin" });
    // The server writes them itself: the files are its user's, wherever it runs.
    for (const [name, text] of [
      ["server.crt", certificate],
      ["server.key", key],
    ] as const) {
      const lines = text
        .trim()
        .split("\n")
        .map((line) => quoteText(line));
      await session.query(`COPY (SELECT unnest(ARRAY[${lines.join(",")}])) TO PROGRAM 'umask 077; cat > ${name}'`);
    }
    await session.query("ALTER SYSTEM SET ssl = on");
    await session.query("SELECT pg_reload_conf()");
    await waitFor(async () => (await session.query<{ ssl: string }>("SHOW ssl")).rows[0]?.ssl === "on", {
      deadlineMs: 20_000,
      what: "TLS to be on",
    });
    await session.query("CREATE PUBLICATION p");
    await session.query("SELECT pg_create_logical_replication_slot('tls', 'pgoutput')");
    await session.end();
  });

  afterAll(async () => {
    await server[Symbol.asyncDispose]();
    rmSync(folder, { recursive: true });
  });

  const url = (host: string, query: string): string => `postgres://postgres@${host}:${server.port}/postgres${query}`;

  async function encrypted(host: string, query: string): Promise<boolean> {
    const session = await connect(parseConnectionUrl(new Secret(url(host, query))), { applicationName: "tls" });
    const result = await session.query<{ ssl: boolean }>("SELECT ssl FROM pg_stat_ssl WHERE pid = pg_backend_pid()");
    await session.end();
    return result.rows[0]?.ssl === true;
  }

  test("is used as far as sslmode asks for it", async () => {
    expect(await encrypted("127.0.0.1", "")).toBe(false);
    expect(await encrypted("127.0.0.1", "?sslmode=disable")).toBe(false);
    expect(await encrypted("127.0.0.1", "?sslmode=require")).toBe(true);
    expect(await encrypted("127.0.0.1", "?sslmode=no-verify")).toBe(true);
    expect(await encrypted("localhost", `?sslmode=verify-full&sslrootcert=${ca}`)).toBe(true);
    expect(await encrypted("127.0.0.1", `?sslmode=verify-ca&sslrootcert=${ca}`)).toBe(true);
  });

  test("a certificate that nobody vouches for is refused, as a failed login", async () => {
    const error = await encrypted("localhost", "?sslmode=verify-full").catch((reason: unknown) => reason);
    expect(postgresFailure(error)).toMatchObject({ kind: "login", code: "DEPTH_ZERO_SELF_SIGNED_CERT" });
  });

  test("carries the stream, which can be paused", async () => {
    const settings = parseConnectionUrl(new Secret(url("127.0.0.1", "?sslmode=require")));
    const session = await connect(settings, { applicationName: "admin" });
    const [slot] = (
      await session.query<{ lsn: string }>("SELECT confirmed_flush_lsn::text AS lsn FROM pg_replication_slots")
    ).rows;
    let received = 0;
    const stream = await ReplicationConnection.open(
      {
        server: settings,
        applicationName: "tls stream",
        slot: "tls",
        publication: "p",
        startAt: parseLsn(slot?.lsn ?? ""),
        statusIntervalMs: 1_000,
        silenceTimeoutMs: 60_000,
      },
      { message: () => (received += 1), keepAlive: () => undefined },
      AbortSignal.timeout(20_000),
    );
    const ssl = await session.query<{ ssl: boolean }>(
      "SELECT ssl FROM pg_stat_ssl JOIN pg_replication_slots ON active_pid = pid",
    );
    expect(ssl.rows).toEqual([{ ssl: true }]);
    stream.pause();
    await session.query("SELECT pg_logical_emit_message(true, 'p', 'hello')");
    stream.resume();
    await waitFor(() => received >= 3, { deadlineMs: 20_000, what: "the message" });
    await stream[Symbol.asyncDispose]();
    await session.end();
  });
});
