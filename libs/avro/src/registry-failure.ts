import { DataTraceError } from "@datatrace/core";
import type { ErrorCode, ErrorDetail } from "@datatrace/core";
import type { RegistryAnswer } from "./registry-exchange.ts";

/** What was asked, as far as a message may name it. */
export type RegistryQuestion =
  | { readonly kind: "register"; readonly subject: string }
  | { readonly kind: "find"; readonly id: number };

const tlsCode = /^(?:ERR_TLS|ERR_SSL|CERT_|DEPTH_ZERO|SELF_SIGNED|UNABLE_TO_|HOSTNAME_MISMATCH|EPROTO)/;

/** A request that got no answer. Of the error only its code is passed on. */
export function registryUnreached(error: unknown, place: string): DataTraceError {
  const raw = (typeof error === "object" && error !== null ? error : {}) as Readonly<Record<string, unknown>>;
  const code = typeof raw["code"] === "string" ? raw["code"] : "none";
  return new DataTraceError(unreachedCode(code), { detail: { registry: place, code } });
}

function unreachedCode(code: string): ErrorCode {
  if (tlsCode.test(code)) return "registry.login_failed";
  // Node's HTTP parser: what answers speaks something else.
  return code.startsWith("HPE_") ? "registry.answer_invalid" : "registry.connection_lost";
}

/** Why an incompatible schema is, as Avro's own check names it. The rest of the answer repeats schemas: not passed on. */
const reasons =
  /\b(?:NAME_MISMATCH|FIXED_SIZE_MISMATCH|MISSING_ENUM_SYMBOLS|READER_FIELD_MISSING_DEFAULT_VALUE|TYPE_MISMATCH|MISSING_UNION_BRANCH)\b/;

/** Statuses that pass by themselves, beside 500 and above. */
const passing: ReadonlySet<number> = new Set([408, 425, 429]);

/**
 * An answer that is not what was asked for. Of its text nothing is passed on but the protocol's error code: it may hold
 * a schema with its defaults, or a page with anything (I8).
 */
export function registryRefusal(answer: RegistryAnswer, question: RegistryQuestion, place: string): DataTraceError {
  const errorCode = answer.body?.["error_code"];
  const numbered = typeof errorCode === "number";
  const code = refusalCode(answer, question, numbered ? errorCode : null);
  const asked: ErrorDetail = question.kind === "find" ? { id: question.id } : { subject: question.subject };
  const reason = code === "registry.incompatible" ? reasons.exec(JSON.stringify(answer.body))?.[0] : undefined;
  return new DataTraceError(code, {
    detail: {
      ...asked,
      registry: place,
      httpStatus: answer.status,
      ...(numbered && errorCode !== answer.status ? { errorCode } : {}),
      ...(reason === undefined ? {} : { reason }),
      ...(code === "registry.answer_invalid" ? shape(answer) : {}),
    },
  });
}

function refusalCode({ status }: RegistryAnswer, question: RegistryQuestion, errorCode: number | null): ErrorCode {
  if (status >= 500 || passing.has(status)) return "registry.transient";
  if (status === 401) return "registry.login_failed";
  if (status === 403) return "registry.grant_missing";
  // Only a registry numbers its errors: a 404 without a number says that there is none at this path.
  if (errorCode === null || status < 400) return "registry.answer_invalid";
  if (question.kind === "find") return status === 404 ? "registry.schema_unknown" : "registry.answer_invalid";
  if (status === 409) return "registry.incompatible";
  return status === 404 ? "registry.answer_invalid" : "registry.schema_rejected";
}

function shape({ mediaType, redirectHost }: RegistryAnswer): ErrorDetail {
  return {
    ...(mediaType === null ? {} : { mediaType }),
    ...(redirectHost === null ? {} : { redirectsTo: redirectHost }),
  };
}
