import { chown, mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import type { ServerUser } from "./server-user.ts";
import { guard } from "./watchdog.ts";

export interface TemporaryDirectory extends AsyncDisposable {
  readonly path: string;
}

/** A new folder that goes away with `await using`, or with this process however it ends. */
export async function temporaryDirectory(name: string, owner?: ServerUser): Promise<TemporaryDirectory> {
  const path = await mkdtemp(join(tmpdir(), `datatrace-${name}-`));
  const release = guard({ kind: "path", path });
  if (owner !== undefined && owner.uid !== process.getuid?.()) await chown(path, owner.uid, owner.gid);
  return {
    path,
    [Symbol.asyncDispose]: async () => {
      await rm(path, { recursive: true, force: true, maxRetries: 10 });
      release();
    },
  };
}
