import { execFileSync } from "node:child_process";

/** Who a server runs as, in the shape that `spawn` takes. */
export interface ServerUser {
  readonly uid: number;
  readonly gid: number;
}

export function isRoot(): boolean {
  return process.getuid?.() === 0;
}

function lookUp(name: string): ServerUser | undefined {
  try {
    const ask = (flag: string): number =>
      Number(execFileSync("id", [flag, name], { encoding: "utf8", stdio: ["ignore", "pipe", "ignore"] }));
    return { uid: ask("-u"), gid: ask("-g") };
  } catch {
    return undefined;
  }
}

let found: ServerUser | undefined;

/**
 * The user that servers run as. PostgreSQL refuses root, so root starts it as `postgres` where that user exists, else
 * as `nobody`; everybody else starts it as himself.
 */
export function serverUser(): ServerUser {
  const uid = process.getuid?.();
  const gid = process.getgid?.();
  if (uid === undefined || gid === undefined) throw new Error("test servers need a POSIX system");
  if (uid !== 0) return { uid, gid };
  found ??= lookUp("postgres") ?? lookUp("nobody");
  if (found === undefined) throw new Error("neither a user `postgres` nor a user `nobody` exists to run servers as");
  return found;
}
