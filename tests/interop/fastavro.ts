import { execFile } from "node:child_process";
import { existsSync } from "node:fs";
import { mkdir, rename, rm } from "node:fs/promises";
import { dirname, join } from "node:path";
import { promisify } from "node:util";
import { cacheDirectory } from "@datatrace/testkit";

const run = promisify(execFile);
const fastavroVersion = "1.13.1";
const installTimeoutMs = 100_000;

/** One schema and what was written with it, each record with its five bytes in front. */
export interface WrittenRecords {
  readonly schema: unknown;
  readonly records: readonly Uint8Array[];
}

/** A datum as `decode.py` prints it. */
export type TaggedDatum = string | boolean | null | readonly TaggedDatum[] | { readonly [name: string]: TaggedDatum };

export interface DecodedRecord {
  readonly id: number;
  readonly datum: TaggedDatum;
}

/** Has fastavro decode everything, in one Python process. */
export async function decodeWithFastavro(
  batches: readonly WrittenRecords[],
): Promise<readonly (readonly DecodedRecord[])[]> {
  const python = await pythonWithFastavro();
  const script = join(import.meta.dirname, "decode.py");
  const answer = run(python, [script], { maxBuffer: 512 * 1024 * 1024 });
  const input = batches.map(({ schema, records }) => ({
    schema,
    records: records.map((record) => Buffer.from(record).toString("hex")),
  }));
  answer.child.stdin?.end(JSON.stringify(input));
  return JSON.parse((await answer).stdout) as readonly (readonly DecodedRecord[])[];
}

/** A virtual environment of its own, made once and kept outside of the repository. */
async function pythonWithFastavro(): Promise<string> {
  const home = join(cacheDirectory(), `fastavro-${fastavroVersion}-${process.platform}-${process.arch}`);
  const python = join(home, "bin", "python");
  if (existsSync(python)) return python;
  // Made beside its place and renamed, so that one that was interrupted is never used.
  const draft = `${home}.${process.pid}`;
  await mkdir(dirname(home), { recursive: true });
  await run("python3", ["-m", "venv", draft], { timeout: installTimeoutMs });
  const install = ["-m", "pip", "install", "--quiet", "--disable-pip-version-check", `fastavro==${fastavroVersion}`];
  await run(join(draft, "bin", "python"), install, { timeout: installTimeoutMs });
  try {
    await rename(draft, home);
  } catch (error) {
    await rm(draft, { recursive: true, force: true });
    // Another run was faster.
    if (!existsSync(python)) throw error;
  }
  return python;
}
