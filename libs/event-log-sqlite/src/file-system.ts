import { execFileSync } from "node:child_process";
import { realpathSync, statfsSync } from "node:fs";
import { platform } from "node:os";

import { DataTraceError } from "@datatrace/core";

/** File systems reached over a network or a host's border, by the magic number of statfs(2) on Linux. */
const remoteTypes: ReadonlyMap<number, string> = new Map([
  [0x6969, "nfs"],
  [0x517b, "smb"],
  [0xfe534d42, "smb2"],
  [0xff534d42, "cifs"],
  [0x564c, "ncp"],
  [0x65735546, "fuse"],
  [0x01021997, "9p"],
  [0x5346414f, "afs"],
  [0x6b414653, "kafs"],
  [0x73757245, "coda"],
  [0x00c36400, "ceph"],
  [0x0bd00bd0, "lustre"],
  [0x47504653, "gpfs"],
  [0x7461636f, "ocfs2"],
  [0x01161970, "gfs2"],
  [0xaad7aaea, "panfs"],
  [0x19830326, "fhgfs"],
  [0x786f4256, "vboxsf"],
]);

/** The name of a remote file system by its statfs type, or null for a local one. */
export function remoteFileSystem(type: number | bigint): string | null {
  return remoteTypes.get(Number(BigInt.asUintN(32, BigInt(type)))) ?? null;
}

const remoteMountTypes = /^(nfs|smbfs|cifs|afpfs|webdav|ftp|acfs|fuse|osxfuse|macfuse|fusefs)/;

/**
 * The same from the output of mount(8) on macOS, whose statfs types are not fixed numbers:
 * `//user@server/share on /Volumes/share (smbfs, nodev, nosuid)`.
 */
export function remoteMount(mounts: string, directory: string): string | null {
  let longest = "";
  let type = "";
  for (const line of mounts.split("\n")) {
    const match = /^.+? on (?<point>\/.*) \((?<type>[^,)]+)/.exec(line);
    const point = match?.groups?.["point"] ?? "";
    const inside = point === "/" || directory === point || directory.startsWith(`${point}/`);
    if (point !== "" && inside && point.length >= longest.length) {
      longest = point;
      type = match?.groups?.["type"] ?? "";
    }
  }
  return remoteMountTypes.test(type) ? type : null;
}

/** @throws DataTraceError `log.unsupported_filesystem` where file locks cannot be trusted. */
export function requireLocalFileSystem(directory: string): void {
  const remote =
    platform() === "darwin"
      ? remoteMount(execFileSync("/sbin/mount", { encoding: "utf8" }), realpathSync(directory))
      : remoteFileSystem(statfsSync(directory, { bigint: true }).type);
  if (remote !== null) throw new DataTraceError("log.unsupported_filesystem", { detail: { fileSystem: remote } });
}
