import { inspect } from "node:util";
import { DataTraceError, Secret } from "@datatrace/core";
import { startKafka } from "@datatrace/testkit";
import type { KafkaServer } from "@datatrace/testkit";
import { afterAll, beforeAll, expect, test } from "vitest";

import { openKafkaEventLog } from "./kafka-event-log.ts";
import type { KafkaEventLogOptions, SaslOptions } from "./kafka-options.ts";

let kafka: KafkaServer | undefined;

beforeAll(async () => {
  kafka = await startKafka({ security: { ssl: true, sasl: true } });
}, 180_000);

afterAll(async () => {
  await kafka?.[Symbol.asyncDispose]();
});

function options(mechanism: SaslOptions["mechanism"], password?: string): KafkaEventLogOptions {
  const { username = "", password: right = "" } = kafka?.login ?? {};
  return {
    brokers: kafka?.brokers ?? [],
    ssl: { ca: kafka?.ca ?? "" },
    sasl: { mechanism, username, password: new Secret(password ?? right) },
    requestTimeoutMs: 2000,
    patienceMs: 2000,
  };
}

async function failure(opening: Promise<unknown>): Promise<DataTraceError> {
  const error: unknown = await opening.then(
    () => new Error("it did not fail"),
    (reason: unknown) => reason,
  );
  if (!(error instanceof DataTraceError)) throw error;
  return error;
}

test.for(["plain", "scram-sha-256", "scram-sha-512"] as const)(
  "over TLS with %s a log is opened, written and read",
  async (mechanism) => {
    await using log = await openKafkaEventLog(options(mechanism));
    const topic = `secured-${mechanism}`;
    await log.ensureTopic({ name: topic, partitions: 1, cleanup: "delete" });
    await using writer = await log.openWriter(topic);
    await writer.append([{ topic, partition: 0, key: null, value: Buffer.from("v") }]);
    await using reader = await log.openReader(topic, [topic]);
    const signal = AbortSignal.timeout(20_000);
    for (;;) {
      const [event] = await reader.poll(signal);
      if (event?.kind === "assigned") reader.seek({ topic, partition: 0 }, 0n);
      if (event?.kind !== "batch") continue;
      expect(Buffer.from(event.records[0]?.value ?? []).toString()).toBe("v");
      break;
    }
  },
);

test.for(["plain", "scram-sha-256", "scram-sha-512"] as const)(
  "I8: with a wrong password %s is log.login_failed, and the password is nowhere in it",
  async (mechanism) => {
    const password = "wr0ng-passw0rd";
    const error = await failure(openKafkaEventLog(options(mechanism, password)));
    expect(error.code).toBe("log.login_failed");
    expect(inspect(error, { depth: 10 })).not.toContain(password);
  },
);

test("without a login, or without TLS, or with an authority that is not trusted, it is log.connection_lost", async () => {
  const { sasl: _sasl, ...withoutLogin } = options("plain");
  const { ssl: _ssl, ...withoutTls } = options("plain");
  const untrusted = { ...options("plain"), ssl: true };
  for (const wrong of [withoutLogin, withoutTls, untrusted]) {
    expect(await failure(openKafkaEventLog(wrong))).toMatchObject({ code: "log.connection_lost", retry: "timed" });
  }
});
