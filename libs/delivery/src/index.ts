/**
 * The sink runtime: records of the log into one target, exactly once, over the ports of `@datatrace/core`. It knows no
 * database and no log.
 */
export { decommissionDelivery } from "./decommission-delivery.ts";
export { openDelivery } from "./delivery.ts";
export type { Address, Delivery } from "./delivery.ts";
export type { DeliveryOptions, DeliveryTiming, ErrorStrategy } from "./delivery-options.ts";
export type {
  DeliveryState,
  DeliveryStatus,
  PartitionState,
  PartitionStatus,
  StatusError,
  TableState,
  TableStatus,
} from "./delivery-status.ts";
export type { ApplyObservation, DeliveryObserver } from "./observer.ts";
