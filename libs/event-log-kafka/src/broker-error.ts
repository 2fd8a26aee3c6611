import { DataTraceError } from "@datatrace/core";
import type { ErrorCode } from "@datatrace/core";

/** Error codes of the Kafka protocol that somebody here acts on. */
export const codes = {
  none: 0,
  offsetOutOfRange: 1,
  unknownTopic: 3,
  leaderNotAvailable: 5,
  notLeader: 6,
  requestTimedOut: 7,
  brokerNotAvailable: 8,
  replicaNotAvailable: 9,
  messageTooLarge: 10,
  networkException: 13,
  coordinatorLoading: 14,
  coordinatorNotAvailable: 15,
  notCoordinator: 16,
  recordListTooLarge: 18,
  notEnoughReplicas: 19,
  notEnoughReplicasAfterAppend: 20,
  illegalGeneration: 22,
  unknownMember: 25,
  rebalanceInProgress: 27,
  topicAuthorization: 29,
  groupAuthorization: 30,
  clusterAuthorization: 31,
  topicExists: 36,
  notController: 41,
  concurrentTransactions: 51,
  transactionalIdAuthorization: 53,
  operationNotAttempted: 55,
  storageError: 56,
  nonEmptyGroup: 68,
  groupIdNotFound: 69,
  fencedLeaderEpoch: 74,
  unknownLeaderEpoch: 75,
  offsetNotAvailable: 78,
  memberIdRequired: 79,
  invalidRecord: 87,
  unstableOffsetCommit: 88,
} as const;

const passing: ReadonlySet<number> = new Set([
  codes.unknownTopic,
  codes.leaderNotAvailable,
  codes.notLeader,
  codes.requestTimedOut,
  codes.brokerNotAvailable,
  codes.replicaNotAvailable,
  codes.networkException,
  codes.coordinatorLoading,
  codes.coordinatorNotAvailable,
  codes.notCoordinator,
  codes.notEnoughReplicas,
  codes.notEnoughReplicasAfterAppend,
  codes.notController,
  codes.concurrentTransactions,
  codes.storageError,
  codes.fencedLeaderEpoch,
  codes.unknownLeaderEpoch,
  codes.offsetNotAvailable,
  codes.unstableOffsetCommit,
]);

const forbidden: ReadonlySet<number> = new Set([
  codes.topicAuthorization,
  codes.groupAuthorization,
  codes.clusterAuthorization,
  codes.transactionalIdAuthorization,
]);

/** INVALID_PRODUCER_EPOCH, INVALID_PRODUCER_ID_MAPPING, PRODUCER_FENCED: somebody has opened this writer's id since. */
const fenced: ReadonlySet<number> = new Set([47, 49, 90]);

/** Whether an error code stands for a state that ends by itself: an election, a coordinator that moves. */
export function passesByItself(code: number): boolean {
  return passing.has(code);
}

/** An answer with an error code. Not for users: `asDataTraceError` makes one for them. */
export class BrokerError extends Error {
  readonly code: number;
  readonly request: string;

  constructor(request: string, code: number) {
    super(`${request} was answered with error code ${code}`);
    this.name = "BrokerError";
    this.request = request;
    this.code = code;
  }
}

/** @throws BrokerError unless the code is 0. */
export function demandSuccess(request: string, code: number): void {
  if (code !== codes.none) throw new BrokerError(request, code);
}

// By name, because kafkajs wraps what sockets throw: a broker that is gone, that does not answer, that hung up.
const lostNames: ReadonlySet<string> = new Set([
  "KafkaJSConnectionError",
  "KafkaJSConnectionClosedError",
  "KafkaJSRequestTimeoutError",
  "KafkaJSBrokerNotFound",
  "KafkaJSTimeout",
  "KafkaJSLockTimeout",
  "BrokerUnreachable",
]);

/** No broker that could be asked. */
export class BrokerUnreachable extends Error {
  constructor(message: string, cause?: unknown) {
    super(message, { cause });
    this.name = "BrokerUnreachable";
  }
}

/** Whether the answer was lost, so that nobody knows whether the request was carried out. */
export function isLost(error: unknown): boolean {
  return error instanceof Error && lostNames.has(error.name);
}

/** Whether the same request may succeed a little later. */
export function isPassing(error: unknown): boolean {
  return isLost(error) || (error instanceof BrokerError && passesByItself(error.code));
}

/** What a user is told. kafkajs' own messages are left out: those of a login may repeat what was sent (I8). */
export function asDataTraceError(error: unknown): unknown {
  if (error instanceof DataTraceError || !(error instanceof Error)) return error;
  if (error instanceof BrokerError) {
    return new DataTraceError(codeFor(error.code), { detail: { request: error.request, errorCode: error.code } });
  }
  if (isLost(error)) return new DataTraceError("log.connection_lost", { detail: { reason: reasonOf(error) } });
  if (error.name === "KafkaJSSASLAuthenticationError") return new DataTraceError("log.login_failed");
  return error;
}

function codeFor(code: number): ErrorCode {
  if (fenced.has(code)) return "log.fenced";
  if (forbidden.has(code)) return "log.grant_missing";
  if (code === codes.unknownTopic) return "log.topic_unknown";
  // A record without a key for a compacted topic: our callers give one.
  if (code === codes.invalidRecord) return "internal.bug";
  if (code === codes.messageTooLarge || code === codes.recordListTooLarge) return "log.record_too_large";
  return passesByItself(code) ? "log.connection_lost" : "log.request_refused";
}

/** The name of the error, and the socket's code where there is one. */
function reasonOf(error: Error): string {
  const own = (error as { code?: unknown }).code;
  return typeof own === "string" ? `${error.name} ${own}` : error.name;
}
