import { startPostgres, TcpProxy } from "@datatrace/testkit";
import type { PostgresServer } from "@datatrace/testkit";
import { Client } from "pg";

/** A server and the network that the pipeline reaches it through. */
export interface Side {
  readonly server: PostgresServer;
  readonly proxy: TcpProxy;
  /** Through the proxy, for the pipeline. */
  readonly url: string;
  /** Around it, for the workload and the checks. */
  readonly directUrl: string;
}

/** Source and target, which all rounds share. Both are durable: what they have answered survives SIGKILL. */
export class Arena implements AsyncDisposable {
  readonly source: Side;
  readonly target: Side;

  private constructor(source: Side, target: Side) {
    this.source = source;
    this.target = target;
  }

  static async open(): Promise<Arena> {
    const [source, target] = await Promise.all([openSide(), openSide()]);
    return new Arena(source, target);
  }

  async [Symbol.asyncDispose](): Promise<void> {
    for (const side of [this.source, this.target]) {
      await side.proxy[Symbol.asyncDispose]();
      await side.server[Symbol.asyncDispose]();
    }
  }
}

async function openSide(): Promise<Side> {
  const server = await startPostgres({
    major: 18,
    durable: true,
    // Small enough for frequent checkpoints and segments; a walsender that hears nothing ends soon.
    settings: { max_connections: "60", wal_sender_timeout: "10s", checkpoint_timeout: "30s", max_wal_size: "128MB" },
  });
  const proxy = await TcpProxy.start(server.port);
  return { server, proxy, url: proxy.through(server.url), directUrl: server.url };
}

/** One client for as long as `work` takes. */
export async function connected<T>(url: string, work: (client: Client) => Promise<T>): Promise<T> {
  const client = new Client({ connectionString: url, application_name: "chaos" });
  client.on("error", () => undefined);
  await client.connect();
  try {
    return await work(client);
  } finally {
    await client.end().catch(() => undefined);
  }
}
