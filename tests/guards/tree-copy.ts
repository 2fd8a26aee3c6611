import { execFileSync } from "node:child_process";
import { cpSync, existsSync, mkdirSync, mkdtempSync, readdirSync, rmSync, symlinkSync } from "node:fs";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";

/**
 * A copy of the project in a temporary folder: the files that git tracks or would track, with third-party packages
 * linked to the original's and the workspaces linked to the copy's own, so that a patch changes nothing else.
 */
export class TreeCopy implements Disposable {
  readonly root: string;

  constructor(original: string) {
    this.root = mkdtempSync(join(tmpdir(), "datatrace-guards-"));
    const listed = execFileSync("git", ["ls-files", "-z", "--cached", "--others", "--exclude-standard"], {
      cwd: original,
    });
    for (const path of listed.toString("utf8").split("\0")) {
      if (path === "" || !existsSync(join(original, path))) continue;
      mkdirSync(dirname(join(this.root, path)), { recursive: true });
      cpSync(join(original, path), join(this.root, path));
    }
    this.#linkPackages(original);
  }

  #linkPackages(original: string): void {
    const modules = join(this.root, "node_modules");
    mkdirSync(join(modules, "@datatrace"), { recursive: true });
    for (const entry of readdirSync(join(original, "node_modules"))) {
      if (entry !== "@datatrace" && entry !== ".vite" && entry !== ".vitest") {
        symlinkSync(join(original, "node_modules", entry), join(modules, entry));
      }
    }
    for (const group of ["libs", "services"]) {
      for (const workspace of readdirSync(join(this.root, group))) {
        symlinkSync(join(this.root, group, workspace), join(modules, "@datatrace", workspace));
        const own = join(original, group, workspace, "node_modules");
        if (existsSync(own)) symlinkSync(own, join(this.root, group, workspace, "node_modules"));
      }
    }
  }

  [Symbol.dispose](): void {
    rmSync(this.root, { recursive: true, force: true });
  }
}
