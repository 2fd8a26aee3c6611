import type { Guard } from "./guard.ts";

const board = "libs/control/src/spec-board.ts";
const secretKeys = "libs/control/src/secret-keys.ts";
const runnerTest = "services/standalone/src/service/spec-runner.test.ts";

/** Guards of what services run and own. */
export const controlGuards: readonly Guard[] = [
  {
    name: "a secret is sealed before it is written to a control topic",
    invariant: "I8",
    file: secretKeys,
    find: "if (document instanceof Secret) return this.#seal(document, place);",
    replace: "if (document instanceof Secret) return document.reveal();",
    test: {
      file: "libs/control/src/spec-board.test.ts",
      title: "I8: specs are in the log without their secrets, and come back with them",
    },
    short: true,
  },
  {
    name: "a sealed secret opens in its place only",
    invariant: "I8",
    file: secretKeys,
    find: "mapEach(document, (value, name) => this.open(value, `${place}/${name}`))",
    replace:
      'mapEach(document, (value, name) => this.open(value, place.endsWith("/url") || name !== "host" ? `${place}/${name}` : `${place}/url`))',
    test: {
      file: "libs/control/src/secret-keys.test.ts",
      title: "I8: sealed text that was moved to another spec or another field, or changed, does not open",
    },
  },
  {
    name: "what is owned stops before its group is left",
    invariant: "I2",
    file: "libs/control/src/spec-ownership.ts",
    find: "        await this.#options.released();\n",
    replace: "",
    test: {
      file: "libs/control/src/spec-ownership.test.ts",
      title: "I2: who rejoins lets go of everything before, and owns only what it is given anew",
    },
  },
  {
    name: "a capture runs where it is owned only",
    invariant: "I2",
    file: "services/standalone/src/service/spec-runner.ts",
    find: "!this.#options.exclusive || owns(spec.id)",
    replace: "spec.id !== null",
    test: { file: runnerTest, title: "I2: a spec runs where it is owned, and stops before it is somebody else's" },
    short: true,
  },
  {
    name: "a capture that was fenced waits for the group before it opens a writer again",
    invariant: "I2",
    file: "services/standalone/src/service/spec-keeper.ts",
    find: "if (!signal.aborted) this.#hooks.rejoin();\n    await changed(signal);",
    replace: "if (!signal.aborted) this.#hooks.rejoin();",
    test: {
      file: runnerTest,
      title: "I2: who is fenced opens no writer again on his own account, and asks the group; a third time it ends",
    },
  },
  {
    name: "a status speaks of the revision that it is about",
    invariant: "I2",
    file: board,
    find: "revisions.get(id) === revision)",
    replace: 'revisions.get(id) !== undefined && revision !== "")',
    test: {
      file: "libs/control/src/spec-board.test.ts",
      title: "removed, decommissioned, forgotten: only a status of the present revision counts",
    },
  },
];
