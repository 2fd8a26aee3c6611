/**
 * What the control plane and the services say to each other through the log: specs of captures and deliveries, with
 * their secrets sealed, who owns them, and what has become of them. It knows no database and no log.
 */
export { specPartition, specTopic } from "./control-topics.ts";
export type { SpecKind } from "./control-topics.ts";
export { SecretKeys } from "./secret-keys.ts";
export { SpecBoard } from "./spec-board.ts";
export type { SpecWish } from "./spec-board.ts";
export { SpecOwnership } from "./spec-ownership.ts";
export type { OwnershipOptions } from "./spec-ownership.ts";
export type { Spec, SpecState } from "./spec-record.ts";
export type { SpecStatus } from "./status-record.ts";
