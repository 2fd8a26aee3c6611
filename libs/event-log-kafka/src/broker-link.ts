import { DataTraceError } from "@datatrace/core";

import { BrokerUnreachable } from "./broker-error.ts";
import { kafkajs } from "./kafkajs-internals.ts";
import type { KafkajsBroker, KafkajsCall, KafkajsConnection } from "./kafkajs-internals.ts";
import type { KafkaSettings } from "./kafka-options.ts";
import { patchRequestQueue } from "./request-queue-patch.ts";

patchRequestQueue(kafkajs.RequestQueue);

const connectTimeoutMs = 5000;
/** Nothing: what matters is thrown, and thrown errors are told with our own codes. */
const silent = kafkajs.createLogger({ level: 0, logCreator: () => () => undefined });

/** The connections to one broker: one for everything, one for fetches, which wait. They come and go as needed. */
export class BrokerLink {
  readonly host: string;
  readonly port: number;
  readonly #broker: KafkajsBroker;
  readonly #connecting = new Map<KafkajsConnection, Promise<unknown>>();
  #agreed: Promise<void> | null = null;
  #known = false;
  #closed = false;

  constructor(settings: KafkaSettings, host: string, port: number) {
    this.host = host;
    this.port = port;
    const { ssl, sasl, clientId, requestTimeoutMs } = settings;
    const connectionPool = new kafkajs.ConnectionPool({
      host,
      port,
      rack: null,
      ssl: ssl === undefined || ssl === false ? null : ssl === true ? {} : ssl,
      sasl: sasl === null ? null : { ...sasl, password: sasl.password.reveal() },
      clientId,
      socketFactory: kafkajs.socketFactory(),
      connectionTimeout: connectTimeoutMs,
      requestTimeout: requestTimeoutMs,
      enforceRequestTimeout: true,
      logger: silent,
    });
    this.#broker = new kafkajs.Broker({ connectionPool, logger: silent, allowAutoTopicCreation: false });
  }

  get connected(): boolean {
    return this.#broker.isConnected();
  }

  /** The decoded answer, with the error codes in it: kafkajs' parsers throw at the first and hide the rest. */
  async ask<T>(api: string, parameters: unknown): Promise<T> {
    await this.#agree();
    const apiKey = kafkajs.apiKeys[api];
    if (apiKey === undefined) throw new Error(`kafkajs knows no request ${api}`);
    const call = this.#broker.lookupRequest(apiKey, kafkajs.requests[api])(parameters);
    return (await this.#send(call, 0)) as T;
  }

  async send(call: KafkajsCall, connection: 0 | 1): Promise<unknown> {
    await this.#agree();
    return await this.#send(call, connection);
  }

  async close(): Promise<void> {
    this.#closed = true;
    await Promise.all(
      this.#broker.connectionPool.pool.map((connection) => drop(connection, new DataTraceError("log.closed"))),
    );
  }

  async #send(call: KafkajsCall, index: 0 | 1): Promise<unknown> {
    const connection = this.#broker.connectionPool.pool[index];
    await this.#connect(connection);
    try {
      return await connection.send({
        ...call,
        response: { decode: (payload) => call.response.decode(payload), parse: asDecoded },
        logResponseError: false,
      });
    } catch (error) {
      // A broker that does not answer may be frozen: what it says when it wakes belongs to nobody.
      if (error instanceof Error && error.name === "KafkaJSRequestTimeoutError") await drop(connection, error);
      throw error;
    }
  }

  /** kafkajs opens one socket per caller when several find the connection down. */
  async #connect(connection: KafkajsConnection): Promise<void> {
    if (connection.isConnected()) return;
    if (this.#closed) throw new DataTraceError("log.closed");
    const under = this.#connecting.get(connection) ?? connection.connect();
    this.#connecting.set(connection, under);
    try {
      await under;
    } catch (error) {
      throw error instanceof Error && error.name.startsWith("KafkaJS")
        ? error
        : new BrokerUnreachable("it cannot be connected to", error);
    } finally {
      this.#connecting.delete(connection);
    }
    if (this.#closed) {
      await drop(connection, new DataTraceError("log.closed"));
      throw new DataTraceError("log.closed");
    }
  }

  /** Versions are agreed on once; a login is renewed by each connection. */
  async #agree(): Promise<void> {
    if (this.#closed) throw new DataTraceError("log.closed");
    if (this.#known) return;
    this.#agreed ??= this.#broker.connect();
    try {
      await this.#agreed;
      this.#known = true;
    } finally {
      this.#agreed = null;
    }
  }
}

function asDecoded(decoded: unknown): Promise<unknown> {
  return Promise.resolve(decoded);
}

async function drop(connection: KafkajsConnection, error: Error): Promise<void> {
  connection.rejectRequests(error);
  await connection.disconnect();
}
