/**
 * The capture runtime: one source's changes and snapshots into the log, exactly once, over the ports of
 * `@datatrace/core`. It knows no database and no log.
 */
export { openCapture } from "./capture.ts";
export type { Capture, EndAddress } from "./capture.ts";
export type { CaptureMode, CaptureOptions, CaptureTiming } from "./capture-options.ts";
export type { CaptureState, CaptureStatus, StatusError, TableStatus } from "./capture-status.ts";
export type { TableSelection } from "./catalog.ts";
export type { BatchBounds } from "./log-appender.ts";
export type { AppendObservation, CaptureObserver } from "./observer.ts";
