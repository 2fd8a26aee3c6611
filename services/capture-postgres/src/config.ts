import { Type } from "typebox";
import type { Static } from "typebox";

/** The entry under `sources:` of a pipeline file, without `type`. */
export const configSchema = Type.Object(
  {
    url: Type.String({
      description: "postgres://user:password@host:port/database of the source; ${NAME} is taken from the environment.",
    }),
  },
  { additionalProperties: false },
);

export type PostgresSourceConfig = Static<typeof configSchema>;
