import { existsSync, readFileSync } from "node:fs";
import { chmod, cp, readFile, rm, symlink } from "node:fs/promises";
import { basename, dirname, join, relative } from "node:path";
import { fileURLToPath } from "node:url";
import { cacheDirectory } from "./cache-directory.ts";
import { makeOnce } from "./cached-folder.ts";
import { runCommand } from "./run-command.ts";
import type { ServerUser } from "./server-user.ts";

/** Oldest and newest major version that is tested against. */
export type PostgresMajor = 14 | 18;

/** A PostgreSQL that can be run: its programs, and a data directory to copy from. */
export interface PostgresInstallation {
  readonly version: string;
  /** Folder of `postgres` and `initdb`, readable by the server's user. */
  readonly bin: string;
  /** An initialised data directory: superuser `postgres` without a password, UTF-8. Never started. */
  readonly template: string;
}

interface BinaryPackage {
  readonly root: string;
  readonly version: string;
}

/** The npm package with this version's binaries for this platform, if it is installed. */
export function postgresPackage(major: PostgresMajor): BinaryPackage | undefined {
  let entry: string;
  try {
    entry = import.meta.resolve(`postgres-${major}-${process.platform}-${process.arch}`);
  } catch {
    return undefined;
  }
  const root = dirname(dirname(fileURLToPath(entry)));
  if (!existsSync(join(root, "native", "bin", "postgres"))) return undefined;
  const { version } = JSON.parse(readFileSync(join(root, "package.json"), "utf8")) as { version: string };
  return { root, version };
}

/** The package leaves its symbolic links out (npm packs none) and lists them in `pg-symlinks.json` instead. */
async function unpack(root: string, folder: string): Promise<void> {
  await cp(join(root, "native"), folder, { recursive: true, verbatimSymlinks: true });
  const links = JSON.parse(await readFile(join(root, "native", "pg-symlinks.json"), "utf8")) as readonly {
    source: string;
    target: string;
  }[];
  for (const { source, target } of links) {
    const path = join(folder, relative("native", target));
    await rm(path, { force: true });
    await symlink(relative(dirname(target), source), path);
  }
  for (const program of ["initdb", "postgres"]) await chmod(join(folder, "bin", program), 0o755);
  await chmod(folder, 0o755);
}

function localeArguments(major: PostgresMajor): readonly string[] {
  if (process.platform !== "darwin") return ["--locale=C.UTF-8"];
  // macOS has no C.UTF-8 of its own; from version 17 on PostgreSQL brings one.
  return major >= 17 ? ["--locale=C", "--locale-provider=builtin", "--builtin-locale=C.UTF-8"] : ["--locale=C"];
}

/** What a server, and `initdb`, see of our environment: nothing but the path, so that runs are alike everywhere. */
export const serverEnvironment = { PATH: process.env["PATH"] ?? "", LC_ALL: "C", TZ: "UTC" };

/** An empty folder, or the one that is there, that only the server's user may enter: PostgreSQL insists. */
export async function makeDataFolder(path: string, user: ServerUser): Promise<void> {
  await runCommand("install", ["-d", "-m", "700", "-o", String(user.uid), "-g", String(user.gid), path]);
}

const installed = new Map<string, Promise<PostgresInstallation>>();

async function install(
  major: PostgresMajor,
  { root, version }: BinaryPackage,
  user: ServerUser,
): Promise<PostgresInstallation> {
  const home = join(cacheDirectory(), `postgres-${version}-${process.platform}-${process.arch}`);
  const programs = join(home, "programs");
  await makeOnce(programs, (folder) => unpack(root, folder));
  const template = join(home, `template-${user.uid}`);
  await makeOnce(template, async (folder) => {
    const data = join(folder, "data");
    // The programs' user must own what it initialises; the folder around it stays ours.
    await chmod(folder, 0o755);
    await makeDataFolder(data, user);
    const settings = ["-U", "postgres", "-A", "trust", "-E", "UTF8", "--no-sync", "--no-instructions"];
    await runCommand(join(programs, "bin", "initdb"), ["-D", data, ...settings, ...localeArguments(major)], {
      ...user,
      cwd: "/",
      env: serverEnvironment,
    });
  });
  return { version, bin: join(programs, "bin"), template: join(template, "data") };
}

/**
 * Unpacks the binaries into the cache and runs `initdb`, once per version and user; later calls find both there.
 * Safe between processes.
 */
export async function installPostgres(
  major: PostgresMajor,
  source: BinaryPackage,
  user: ServerUser,
): Promise<PostgresInstallation> {
  const key = `${major} ${user.uid}`;
  const running = installed.get(key) ?? install(major, source, user);
  installed.set(key, running);
  try {
    return await running;
  } catch (error) {
    installed.delete(key);
    throw new Error(`PostgreSQL ${major} cannot be set up in ${basename(cacheDirectory())}`, { cause: error });
  }
}
