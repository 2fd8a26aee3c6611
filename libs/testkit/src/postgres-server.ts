import { postgresPackage } from "./postgres-binaries.ts";
import type { PostgresMajor } from "./postgres-binaries.ts";
import { ContainerPostgres, containerRuntimeFound } from "./postgres-container.ts";
import { NativePostgres } from "./postgres-native.ts";
import type { PostgresOptions, PostgresServer } from "./throwaway-postgres.ts";

/** Where a throwaway server of this version can come from here, or why from nowhere. */
export async function postgresOrigin(major: PostgresMajor): Promise<"npm" | "container" | undefined> {
  if (postgresPackage(major) !== undefined) return "npm";
  return (await containerRuntimeFound()) ? "container" : undefined;
}

/**
 * Starts a throwaway server, from the npm binaries where they exist for this platform, else in a container.
 * @throws Error when neither is to be had, or with the end of the server's log when it does not start.
 */
export async function startPostgres(options: PostgresOptions, signal?: AbortSignal): Promise<PostgresServer> {
  const origin = await postgresOrigin(options.major);
  if (origin === "npm") return NativePostgres.launch(options, signal);
  if (origin === "container") return ContainerPostgres.launch(options, signal);
  throw new Error(
    `no PostgreSQL ${options.major} here: no npm package postgres-${options.major}-${process.platform}-${process.arch}, and no container runtime`,
  );
}
