// A vitest set-up file: processes and worker threads that a test starts say what they have run, in the folder named by
// `DATATRACE_CHILD_COVERAGE`. Set here and not for vitest itself, which counts its own in another way.
const folder = process.env["DATATRACE_CHILD_COVERAGE"];
if (folder !== undefined) process.env["NODE_V8_COVERAGE"] = folder;
