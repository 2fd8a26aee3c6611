import type { Guard } from "./guard.ts";

/** Every guard that is proven. `docs/invariants.md` is generated from this list. */
export const guards: readonly Guard[] = [];
