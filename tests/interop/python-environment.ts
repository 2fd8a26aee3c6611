import { execFile } from "node:child_process";
import { join } from "node:path";
import { promisify } from "node:util";
import { cacheDirectory, makeOnce } from "@datatrace/testkit";

const run = promisify(execFile);
const packages = ["fastavro==1.13.1", "confluent-kafka==2.16.1"];
const installTimeoutMs = 100_000;

/** Runs one of the Python programs of this folder with `input`, as JSON, on its standard input; answers what it prints. */
export async function runPython(program: string, input: unknown): Promise<unknown> {
  const python = await installPython();
  const env = { ...process.env, PYTHONDONTWRITEBYTECODE: "1" };
  const answer = run(python, [join(import.meta.dirname, program)], { env, maxBuffer: 512 * 1024 * 1024 });
  answer.child.stdin?.end(JSON.stringify(input));
  return JSON.parse((await answer).stdout) as unknown;
}

/** Makes a virtual environment of its own, once, and keeps it outside of the repository; answers its Python. */
export async function installPython(): Promise<string> {
  const name = ["python", ...packages.map((one) => one.replace("==", "-")), process.platform, process.arch].join("-");
  const home = join(cacheDirectory(), name);
  await makeOnce(home, async (folder) => {
    await run("python3", ["-m", "venv", folder], { timeout: installTimeoutMs });
    const install = ["-m", "pip", "install", "--quiet", "--disable-pip-version-check", ...packages];
    await run(join(folder, "bin", "python"), install, { timeout: installTimeoutMs });
  });
  return join(home, "bin", "python");
}
