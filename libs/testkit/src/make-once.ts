import { existsSync } from "node:fs";
import { mkdir, mkdtemp, rename, rm } from "node:fs/promises";
import { dirname } from "node:path";
import { guard } from "./watchdog.ts";

/** Makes `target` by filling a folder beside it and renaming that: of several processes one wins, all find it whole. */
export async function makeOnce(target: string, fill: (folder: string) => Promise<void>): Promise<void> {
  if (existsSync(target)) return;
  await mkdir(dirname(target), { recursive: true, mode: 0o755 });
  const folder = await mkdtemp(`${target}.part-`);
  const release = guard({ kind: "path", path: folder });
  try {
    await fill(folder);
    await rename(folder, target);
  } catch (error) {
    if (!existsSync(target)) throw error;
  } finally {
    await rm(folder, { recursive: true, force: true });
    release();
  }
}
