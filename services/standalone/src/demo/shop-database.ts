import { DataTraceError } from "@datatrace/core";
import { startPostgres } from "@datatrace/testkit";
import { Client } from "pg";
import { shopComment, shopDdl, shopSchema } from "./shop-schema.ts";
import type { ShopSize } from "./shop-schema.ts";

/** One side of the demo. */
export interface ShopDatabase extends AsyncDisposable {
  readonly url: string;
  /** Such as `PostgreSQL 18.4`, for the first line on the screen. */
  readonly version: string;
  /** Somebody's own server: the demo cleans up after itself there, and never kills it. */
  readonly given: boolean;
  /** SIGKILL and start again; null for a given server. */
  readonly crash: (() => Promise<void>) | null;
}

/**
 * The server at `url`, or a throwaway one when there is none. The throwaway servers come from `@datatrace/testkit`, a
 * development dependency: only the demo and tests need servers of their own.
 */
export async function openShopDatabase(role: "source" | "target", url: string | null): Promise<ShopDatabase> {
  if (url !== null) {
    return {
      url,
      version: await versionAt(role, url),
      given: true,
      crash: null,
      [Symbol.asyncDispose]: async () => {},
    };
  }
  // Durable, as in production: the latencies on the screen are honest, and a killed server loses nothing.
  const server = await startPostgres({ major: 18, durable: true });
  return {
    url: server.url,
    version: await versionAt(role, server.url),
    given: false,
    crash: async () => {
      await server.kill();
      await server.start();
    },
    [Symbol.asyncDispose]: async () => await server[Symbol.asyncDispose](),
  };
}

/** Makes the shop at the source, and the empty schema at the target, in databases that have neither. */
export async function createShop(source: ShopDatabase, target: ShopDatabase, size: ShopSize): Promise<void> {
  await connected(source.url, async (client) => {
    await client.query("BEGIN");
    await client.query(shopDdl(size));
    await client.query("COMMIT");
    await client.query("ANALYZE");
  });
  // Made here so that it carries the mark by which a later demo may remove it.
  await connected(target.url, async (client) => {
    await client.query(`CREATE SCHEMA ${shopSchema}; COMMENT ON SCHEMA ${shopSchema} IS '${shopComment}'`);
  });
}

/** Drops the demo's schema, if it is there. @throws DataTraceError `config.usage` when somebody else has made it. */
export async function dropShop(side: ShopDatabase): Promise<void> {
  await connected(side.url, removeShop);
}

async function removeShop(client: Client): Promise<void> {
  const found = await client.query<{ comment: string | null }>(
    "SELECT obj_description(oid, 'pg_namespace') AS comment FROM pg_namespace WHERE nspname = $1",
    [shopSchema],
  );
  const [schema] = found.rows;
  if (schema === undefined) return;
  if (schema.comment !== shopComment) {
    throw new DataTraceError("config.usage", {
      message: `The database already has a schema ${shopSchema} that the demo did not make.`,
      fix: "Rename that schema, or give the demo another database.",
    });
  }
  await client.query(`DROP SCHEMA ${shopSchema} CASCADE`);
}

async function versionAt(role: "source" | "target", url: string): Promise<string> {
  return await connected(url, async (client) => {
    const result = await client.query<{ version: string }>("SELECT split_part(version(), ' ', 2) AS version");
    return `PostgreSQL ${result.rows[0]?.version ?? ""}`;
  }).catch((error: unknown) => {
    throw new DataTraceError(`${role === "source" ? "source" : "sink"}.connection_lost`, { cause: error });
  });
}

async function connected<T>(url: string, work: (client: Client) => Promise<T>): Promise<T> {
  const client = new Client({ connectionString: url, application_name: "datatrace demo" });
  client.on("error", () => undefined);
  try {
    await client.connect();
    return await work(client);
  } finally {
    await client.end().catch(() => undefined);
  }
}
