import type { Secret } from "@datatrace/core";
import { Type } from "typebox";
import type { Static } from "typebox";

/** The entry under `sources:` of a pipeline file, without `type`. */
export const configSchema = Type.Object(
  {
    url: Type.String({
      writeOnly: true,
      description: "postgres://user:password@host:port/database of the source; ${NAME} is taken from the environment.",
    }),
  },
  { additionalProperties: false },
);

/** As `open` gets it: what is `writeOnly` in the schema is a `Secret`. */
export type PostgresSourceConfig = Omit<Static<typeof configSchema>, "url"> & { readonly url: Secret };
