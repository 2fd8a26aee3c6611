import { expect, test } from "vitest";

import { writeLockPid } from "./lock-holder.ts";

const locks = `1: POSIX  ADVISORY  READ  4100 fd:00:700 124 124
2: POSIX  ADVISORY  WRITE 4200 fd:00:700 120 120
2: -> POSIX  ADVISORY  WRITE 4300 fd:00:700 120 120
3: FLOCK  ADVISORY  WRITE 4400 00:1b:701 0 EOF
4: POSIX  ADVISORY  WRITE -1 00:1b:702 120 120
`;

test("the holder of a write lock is found by inode", () => {
  expect(writeLockPid(locks, [699n, 700n])).toBe(4200);
});

test("read locks, other kinds of locks, and processes of another namespace name nobody", () => {
  expect(writeLockPid(locks, [701n])).toBeNull();
  expect(writeLockPid(locks, [702n])).toBeNull();
  expect(writeLockPid("", [700n])).toBeNull();
});
