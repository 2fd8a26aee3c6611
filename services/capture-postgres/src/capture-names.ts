import { createHash } from "node:crypto";

/** What a capture calls its things on the server. */
export interface CaptureNames {
  readonly slot: string;
  readonly publication: string;
  /** Prefix of its logical messages: two captures of one database do not take each other's watermarks. */
  readonly watermarkPrefix: string;
  readonly applicationName: string;
}

/** Identifiers are cut at 63 bytes; `datatrace_` and a hash must fit too. */
const longest = 44;

/** Names made from the capture's id. Slot names are lower case letters, digits and `_` only: where that loses something, a hash keeps two captures apart. */
export function captureNames(capture: string): CaptureNames {
  const legal = capture.toLowerCase().replaceAll(/[^a-z0-9_]/g, "_");
  const exact = legal === capture && legal.length <= longest;
  const hash = createHash("sha256").update(capture).digest("hex").slice(0, 8);
  const name = `datatrace_${exact ? legal : `${legal.slice(0, longest)}_${hash}`}`;
  return {
    slot: name,
    publication: name,
    watermarkPrefix: `datatrace/${capture}`,
    applicationName: `datatrace ${capture}`.slice(0, 63),
  };
}
