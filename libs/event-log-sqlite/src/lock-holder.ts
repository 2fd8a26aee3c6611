import { closeSync, constants, openSync, readFileSync, readSync, statSync, writeSync } from "node:fs";

const noteBytes = 16;
/** Create, but neither truncate nor append: the note is overwritten in place. */
const openFlags = constants.O_CREAT | constants.O_RDWR;

/**
 * Who holds the lock of a SQLite file. Linux tells: SQLite's locks are POSIX locks, which `/proc/locks` lists with
 * inode and pid. Elsewhere each process writes its pid into a small file beside the log, inside of its transaction.
 */
export class LockHolder {
  readonly #path: string;
  readonly #note: number;
  readonly #pid: Buffer;

  constructor(path: string) {
    this.#path = path;
    this.#note = openSync(`${path}-holder`, openFlags, 0o600);
    this.#pid = Buffer.from(String(process.pid).padEnd(noteBytes));
  }

  /** Called by the one who has just got the write lock. */
  note(): void {
    writeSync(this.#note, this.#pid, 0, noteBytes, 0);
  }

  /** The pid of the process in whose way we are waiting, as detail of `log.locked`. */
  find(): { pid: number } | Record<string, never> {
    const pid = this.#fromKernel() ?? this.#fromNote();
    return pid === null ? {} : { pid };
  }

  close(): void {
    closeSync(this.#note);
  }

  #fromKernel(): number | null {
    try {
      const inodes = [this.#path, `${this.#path}-shm`].map((path) => statSync(path, { bigint: true }).ino);
      return writeLockPid(readFileSync("/proc/locks", "utf8"), inodes);
    } catch {
      return null;
    }
  }

  #fromNote(): number | null {
    const bytes = Buffer.alloc(noteBytes);
    const length = readSync(this.#note, bytes, 0, noteBytes, 0);
    const pid = Number.parseInt(bytes.toString("latin1", 0, length), 10);
    return Number.isNaN(pid) ? null : pid;
  }
}

/**
 * The pid of a write lock on one of the inodes, from the text of `/proc/locks` (proc_locks(5)):
 * `1: POSIX  ADVISORY  WRITE 4711 fd:00:1234 120 120`.
 */
export function writeLockPid(locks: string, inodes: readonly bigint[]): number | null {
  for (const line of locks.split("\n")) {
    const [, kind, , mode, pid, place] = line.trim().split(/\s+/);
    if (kind !== "POSIX" || mode !== "WRITE" || pid === undefined || place === undefined) continue;
    const inode = place.split(":")[2];
    if (inode !== undefined && inodes.includes(BigInt(inode)) && Number(pid) > 0) return Number(pid);
  }
  return null;
}
