import { expect, test } from "vitest";

import { remoteFileSystem, remoteMount, requireLocalFileSystem } from "./file-system.ts";

test("network file systems are known by their statfs type, also where it comes sign-extended", () => {
  expect(remoteFileSystem(0x6969n)).toBe("nfs");
  expect(remoteFileSystem(0xfe534d42)).toBe("smb2");
  expect(remoteFileSystem(0xffff_ffff_fe53_4d42n)).toBe("smb2");
  expect(remoteFileSystem(-0x1acb2be)).toBe("smb2");
  expect(remoteFileSystem(0x65735546n)).toBe("fuse");
  expect(remoteFileSystem(0xef53n)).toBeNull();
  expect(remoteFileSystem(0x01021994n)).toBeNull();
});

test("on macOS the longest mount point decides", () => {
  const mounts = `/dev/disk3s1s1 on / (apfs, sealed, local, read-only, journaled)
//me@server/share on /Volumes/share (smbfs, nodev, nosuid, mounted by me)
/dev/disk5 on /Volumes/share/inner (apfs, local)
server:/export on /Volumes/with space (nfs)`;
  expect(remoteMount(mounts, "/Users/me/data")).toBeNull();
  expect(remoteMount(mounts, "/Volumes/share")).toBe("smbfs");
  expect(remoteMount(mounts, "/Volumes/share/data")).toBe("smbfs");
  expect(remoteMount(mounts, "/Volumes/share/inner/data")).toBeNull();
  expect(remoteMount(mounts, "/Volumes/shared")).toBeNull();
  expect(remoteMount(mounts, "/Volumes/with space/data")).toBe("nfs");
});

test("this machine's own folder is local", () => {
  expect(() => requireLocalFileSystem(import.meta.dirname)).not.toThrow();
});
