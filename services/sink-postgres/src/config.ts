import type { Secret } from "@datatrace/core";
import { Type } from "typebox";
import type { Static } from "typebox";

/** The entry under `targets:` of a pipeline file, without `type`. */
export const configSchema = Type.Object(
  {
    url: Type.String({
      writeOnly: true,
      description: "postgres://user:password@host:port/database of the target; ${NAME} is taken from the environment.",
    }),
    helper_schema: Type.Optional(
      Type.String({
        minLength: 1,
        default: "datatrace",
        description: "Schema of the helper tables (_datatrace_offsets and three more). Created when it is missing.",
      }),
    ),
  },
  { additionalProperties: false },
);

/** As `open` gets it: what is `writeOnly` in the schema is a `Secret`. */
export type PostgresTargetConfig = Omit<Static<typeof configSchema>, "url"> & { readonly url: Secret };

export const defaultHelperSchema = "datatrace";
