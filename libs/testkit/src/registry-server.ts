import { findJava, mavenFound } from "./java-runtime.ts";
import { containerRuntimeFound } from "./postgres-container.ts";
import { ContainerRegistry } from "./registry-container.ts";
import { NativeRegistry, registryInstalled, registryJava } from "./registry-native.ts";
import type { SchemaRegistryOptions, SchemaRegistryServer } from "./throwaway-registry.ts";

/** Where a throwaway registry can come from here, or why from nowhere. */
export async function registryOrigin(): Promise<"java" | "container" | undefined> {
  if (findJava(registryJava) !== undefined && (registryInstalled() || mavenFound())) return "java";
  return (await containerRuntimeFound()) ? "container" : undefined;
}

/**
 * Starts a throwaway schema registry, on a Java of this machine where there is one (the programs come from Maven, once),
 * else in a container.
 * @throws Error when neither is to be had, or with the end of the server's log when it does not start.
 */
export async function startSchemaRegistry(
  options: SchemaRegistryOptions = {},
  signal?: AbortSignal,
): Promise<SchemaRegistryServer> {
  const origin = await registryOrigin();
  if (origin === "java") return NativeRegistry.launch(options, signal);
  if (origin === "container") return ContainerRegistry.launch(options, signal);
  throw new Error(`no schema registry here: no Java ${registryJava} with Maven, and no container runtime`);
}
