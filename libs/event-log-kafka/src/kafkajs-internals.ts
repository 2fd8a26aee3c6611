import { createRequire } from "node:module";

// kafkajs is used below its producer and its consumer: connections with TLS and SASL, and the encoders and decoders of
// its protocol. What lies above that has faults that lose and double records. The version is pinned exactly.
const load = createRequire(import.meta.url);

/** Bytes that grow while they are written. */
export interface KafkajsEncoder {
  readonly buf: Buffer;
  readonly buffer: Buffer;
  writeInt8(value: number): this;
  writeInt16(value: number): this;
  writeInt32(value: number): this;
  writeString(value: string | null): this;
  writeBuffer(value: Buffer): this;
}

export interface KafkajsRequest {
  readonly apiKey: number;
  readonly apiVersion: number;
  readonly apiName: string;
  encode(): Promise<KafkajsEncoder>;
}

/** One request and how to read its answer. */
export interface KafkajsCall {
  readonly request: KafkajsRequest;
  readonly response: {
    decode(payload: Buffer): Promise<unknown>;
    parse(decoded: unknown): Promise<unknown>;
  };
  readonly requestTimeout?: number | null;
  readonly logResponseError?: boolean;
}

export interface KafkajsConnection {
  isConnected(): boolean;
  connect(): Promise<unknown>;
  disconnect(): Promise<unknown>;
  rejectRequests(error: Error): void;
  send(call: KafkajsCall): Promise<unknown>;
}

export interface KafkajsConnectionPool {
  /** 0 for everything, 1 for fetches: a broker answers a connection's requests one after the other. */
  readonly pool: readonly [KafkajsConnection, KafkajsConnection];
}

export interface KafkajsBroker {
  readonly connectionPool: KafkajsConnectionPool;
  /** Agrees on versions, and logs in. */
  connect(): Promise<void>;
  isConnected(): boolean;
  lookupRequest(apiKey: number, definition: unknown): (parameters: unknown) => KafkajsCall;
}

export interface KafkajsRequestQueue {
  readonly pending: readonly unknown[];
  throttledUntil: number;
  throttleCheckTimeoutId: NodeJS.Timeout | null;
  checkPendingRequests(): void;
  scheduleCheckPendingRequests(): void;
}

interface Internals {
  readonly Broker: new (options: object) => KafkajsBroker;
  readonly ConnectionPool: new (options: object) => KafkajsConnectionPool;
  readonly Encoder: new (sizeBytes?: number) => KafkajsEncoder;
  readonly RequestQueue: { readonly prototype: KafkajsRequestQueue } & (new (options: object) => KafkajsRequestQueue);
  readonly createLogger: (options: object) => unknown;
  readonly socketFactory: () => unknown;
  readonly requests: Readonly<Record<string, unknown>>;
  readonly apiKeys: Readonly<Record<string, number>>;
  readonly crc32C: (bytes: Buffer) => number;
  readonly produceResponse: KafkajsCall["response"];
  readonly memberMetadata: {
    encode(metadata: { version: number; topics: readonly string[]; userData: Buffer }): Buffer;
    decode(bytes: Buffer): { readonly topics: readonly string[]; readonly userData: Buffer | null };
  };
  readonly memberAssignment: {
    encode(assignment: { version: number; assignment: Record<string, readonly number[]> }): Buffer;
    decode(bytes: Buffer): { readonly assignment: Readonly<Record<string, readonly number[]>> } | null;
  };
}

const { MemberMetadata, MemberAssignment } = load("kafkajs/src/consumer/assignerProtocol.js") as {
  MemberMetadata: Internals["memberMetadata"];
  MemberAssignment: Internals["memberAssignment"];
};
const protocol = load("kafkajs/src/protocol/requests/index.js") as { requests: Internals["requests"] };
const loggers = load("kafkajs/src/loggers/index.js") as { createLogger: Internals["createLogger"] };

export const kafkajs: Internals = {
  Broker: load("kafkajs/src/broker/index.js") as Internals["Broker"],
  ConnectionPool: load("kafkajs/src/network/connectionPool.js") as Internals["ConnectionPool"],
  Encoder: load("kafkajs/src/protocol/encoder.js") as Internals["Encoder"],
  RequestQueue: load("kafkajs/src/network/requestQueue/index.js") as Internals["RequestQueue"],
  createLogger: loggers.createLogger,
  socketFactory: load("kafkajs/src/network/socketFactory.js") as Internals["socketFactory"],
  requests: protocol.requests,
  apiKeys: load("kafkajs/src/protocol/requests/apiKeys.js") as Internals["apiKeys"],
  crc32C: load("kafkajs/src/protocol/recordBatch/crc32C/crc32C.js") as Internals["crc32C"],
  produceResponse: load("kafkajs/src/protocol/requests/produce/v7/response.js") as Internals["produceResponse"],
  memberMetadata: MemberMetadata,
  memberAssignment: MemberAssignment,
};
