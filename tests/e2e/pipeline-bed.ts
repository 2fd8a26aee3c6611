import { writeFile } from "node:fs/promises";
import { join } from "node:path";
import { temporaryDirectory, waitFor } from "@datatrace/testkit";
import type { TemporaryDirectory, TestPostgres } from "@datatrace/testkit";
import { Client } from "pg";
import { CommandProcess } from "./command-process.ts";
import type { Program } from "./command-process.ts";

export interface BedOptions {
  readonly name: string;
  /** Lines of the task under `objects:`; `- table: public.*` when left out. */
  readonly objects?: readonly string[];
  /** Lines under `sync:`. */
  readonly sync?: readonly string[];
  readonly mode?: string;
  /** Lines at the top level, such as `log: { … }`. */
  readonly top?: readonly string[];
}

/** A pipeline between two databases of one test, with its file and its log in a folder of their own. */
export class PipelineBed implements AsyncDisposable {
  readonly file: string;
  readonly source: Client;
  readonly target: Client;
  readonly sourceUrl: string;
  readonly targetUrl: string;
  readonly folder: string;
  readonly #folder: TemporaryDirectory;
  readonly #environment: Record<string, string>;
  readonly #processes: CommandProcess[] = [];

  private constructor(folder: TemporaryDirectory, source: Client, target: Client, urls: readonly [string, string]) {
    this.#folder = folder;
    this.folder = folder.path;
    this.file = join(folder.path, "pipeline.yaml");
    this.source = source;
    this.target = target;
    [this.sourceUrl, this.targetUrl] = urls;
    this.#environment = { SOURCE_URL: urls[0], TARGET_URL: urls[1] };
  }

  /** `targets` is the server of the target database; the source's when left out. */
  static async open(options: BedOptions, sources: TestPostgres, targets: TestPostgres = sources): Promise<PipelineBed> {
    const [sourceUrl, targetUrl] = [await sources.createDatabase(), await targets.createDatabase()];
    const folder = await temporaryDirectory(`e2e-${options.name}`);
    const bed = new PipelineBed(folder, await connected(sourceUrl), await connected(targetUrl), [sourceUrl, targetUrl]);
    await bed.write(options);
    return bed;
  }

  /** Writes the pipeline file anew. */
  async write({ name, objects = ["- table: public.*"], sync = [], mode, top = [] }: BedOptions): Promise<void> {
    const lines = [
      `name: ${name}`,
      ...top,
      "sources:",
      '  shop: { type: postgres, url: "${SOURCE_URL}" }',
      "targets:",
      '  warehouse: { type: postgres, url: "${TARGET_URL}" }',
      "tasks:",
      "  all:",
      "    from: shop",
      "    to: [warehouse]",
      ...(mode === undefined ? [] : [`    mode: ${mode}`]),
      "    objects:",
      ...objects.map((line) => `      ${line}`),
      ...(sync.length === 0 ? [] : ["    sync:", ...sync.map((line) => `      ${line}`)]),
    ];
    await this.writeText(`${lines.join("\n")}\n`);
  }

  async writeText(text: string): Promise<void> {
    await writeFile(this.file, text);
  }

  /** The environment of the processes that are started from now on. */
  set(name: string, value: string): void {
    this.#environment[name] = value;
  }

  /** A command with the file, `--json`, and for `run` any free port. It is ended with the bed. */
  start(command: string, ...options: readonly string[]): CommandProcess {
    const port = command === "run" && !options.includes("--port") ? ["--port", "0"] : [];
    return this.startPlain([command, this.file, "--json", ...port, ...options]);
  }

  /** A command line as it is, in the folder of the pipeline file. */
  startPlain(args: readonly string[], nodeArgs: readonly string[] = [], fileLimitKib?: number): CommandProcess {
    const process = new CommandProcess({ args, nodeArgs, cwd: this.folder, env: this.#environment, fileLimitKib });
    this.#processes.push(process);
    return process;
  }

  /** A replica of a service, on any free port; its variables are those of the bed. */
  startService(program: Program, ...args: readonly string[]): CommandProcess {
    // So that failpoints can be set by the environment; without any they do nothing.
    const nodeArgs = ["--import", import.meta.resolve("@datatrace/testkit/failpoints")];
    const options = { args: ["--port", "0", ...args], nodeArgs, cwd: this.folder, env: this.#environment };
    const process = new CommandProcess({ program, ...options });
    this.#processes.push(process);
    return process;
  }

  /** Waits until both sides print the same for a query (`SELECT … ORDER BY …`), and answers what. */
  async equal(query: string, deadlineMs = 30_000): Promise<string> {
    const wanted = await printed(this.source, query);
    return await waitFor(
      async () => {
        const found = await printed(this.target, query).catch(() => "");
        return found === wanted ? wanted : null;
      },
      { deadlineMs, what: `both sides to be equal in ${query}`, intervalMs: 25 },
    );
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await Promise.all(this.#processes.map((process) => process.kill()));
    await Promise.all([this.source.end(), this.target.end()]);
    await this.#folder[Symbol.asyncDispose]();
  }
}

export async function printed(client: Client, query: string): Promise<string> {
  const { rows } = await client.query<unknown[]>({ text: query, rowMode: "array" });
  return rows.map((row) => row.map(String).join("|")).join("\n");
}

export async function connected(url: string): Promise<Client> {
  const client = new Client({ connectionString: url });
  // A test that stops the server under it hears of it from its next query.
  client.on("error", () => undefined);
  await client.connect();
  return client;
}
