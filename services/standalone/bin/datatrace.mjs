#!/usr/bin/env node
// The command line under any Node: the one that the project has pinned runs it.
process.argv.splice(2, 0, "services/standalone/src/main.ts");
await import("../../../deploy/with-node.mjs");
