import { spawn } from "node:child_process";
import type { ChildProcess } from "node:child_process";

/**
 * One `sh` per process, in a session of its own, that reads what must not outlive us. When the pipe closes, because
 * we ended in whatever way, `kill -9` included, it ends the processes (SIGQUIT makes PostgreSQL release its shared
 * memory; SIGKILL follows) and removes the files.
 */
const script = `
set -f
nl='
'
list=$nl
while IFS= read -r line; do
  entry=\${line#?}
  case $line in
    +*) list=$list$entry$nl ;;
    -*) case $list in
          *"$nl$entry$nl"*) list=\${list%%"$nl$entry$nl"*}$nl\${list#*"$nl$entry$nl"} ;;
        esac ;;
  esac
done
IFS=$nl
alive() {
  kill -0 "$1" 2>/dev/null || return 1
  case $(ps -o stat= -p "$1" 2>/dev/null) in Z*) return 1 ;; esac
  return 0
}
for entry in $list; do
  case $entry in
    server:*) kill -QUIT "\${entry#*:}"; kill -CONT "\${entry#*:}" ;;
    process:*) kill -KILL "\${entry#*:}" ;;
  esac
done 2>/dev/null
for entry in $list; do
  case $entry in server:*|process:*)
    pid=\${entry#*:} turns=0
    while alive "$pid"; do
      turns=$((turns + 1))
      [ $turns -eq 40 ] && kill -KILL "$pid" 2>/dev/null
      [ $turns -gt 90 ] && break
      sleep 0.1
    done ;;
  esac
done
for entry in $list; do
  case $entry in path:*)
    turns=0
    until rm -rf -- "\${entry#*:}" 2>/dev/null && [ ! -e "\${entry#*:}" ]; do
      turns=$((turns + 1))
      [ $turns -gt 50 ] && break
      sleep 0.1
    done ;;
  esac
done
`;

/** What may be left to the watchdog: a server (asked to quit, then killed), any other process, a file or folder. */
export type Guarded =
  | { readonly kind: "server"; readonly pid: number }
  | { readonly kind: "process"; readonly pid: number }
  | { readonly kind: "path"; readonly path: string };

let watchdog: ChildProcess | undefined;

function tell(line: string): void {
  if (watchdog === undefined) {
    watchdog = spawn("/bin/sh", ["-c", script], { cwd: "/", detached: true, stdio: ["pipe", "ignore", "ignore"] });
    watchdog.unref();
    const pipe = watchdog.stdin;
    // Neither the child nor the pipe keeps this process alive; a broken pipe means only that nobody watches.
    if (pipe !== null && "unref" in pipe && typeof pipe.unref === "function") pipe.unref();
    pipe?.on("error", () => undefined);
  }
  watchdog.stdin?.write(`${line}\n`);
}

function entryOf(guarded: Guarded): string {
  return guarded.kind === "path" ? `path:${guarded.path}` : `${guarded.kind}:${guarded.pid}`;
}

/** From here on this ends with us, however we end. The answer takes it off the list again. */
export function guard(guarded: Guarded): () => void {
  const entry = entryOf(guarded);
  tell(`+${entry}`);
  return () => {
    tell(`-${entry}`);
  };
}
