// A vitest global set-up: fetches what a registry consists of before any test's time runs.
import { installRegistry } from "./registry-native.ts";
import { registryOrigin } from "./registry-server.ts";

export async function setup(): Promise<void> {
  if ((await registryOrigin()) === "java") await installRegistry();
}
