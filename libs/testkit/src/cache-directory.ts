import { homedir } from "node:os";
import { join } from "node:path";
import { isRoot } from "./server-user.ts";

/**
 * Where unpacked server binaries and initialised data directories are kept between runs: outside of the repository,
 * and for root in a place that an unprivileged user may enter. `DATATRACE_CACHE_DIR` overrides it.
 */
export function cacheDirectory(): string {
  const given = process.env["DATATRACE_CACHE_DIR"];
  if (given !== undefined && given !== "") return given;
  if (isRoot()) return "/var/cache/datatrace";
  if (process.platform === "darwin") return join(homedir(), "Library", "Caches", "datatrace");
  const xdg = process.env["XDG_CACHE_HOME"];
  return join(xdg === undefined || xdg === "" ? join(homedir(), ".cache") : xdg, "datatrace");
}
