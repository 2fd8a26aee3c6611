import { LogicalReplicationService, PgoutputPlugin } from "pg-logical-replication";

export interface RawStreamResult {
  readonly rows: number;
  readonly ms: number;
}

/**
 * Raw limit of a drain: the bare library with its own pgoutput parser reads `rows` inserts from the slot and throws
 * them away. Time runs from the first change, so that the server's start-up of the slot is left out.
 */
export async function rawStream(
  url: string,
  slot: string,
  publication: string,
  rows: number,
): Promise<RawStreamResult> {
  const service = new LogicalReplicationService(
    { connectionString: url },
    { acknowledge: { auto: false, timeoutSeconds: 0 } },
  );
  const plugin = new PgoutputPlugin({ protoVersion: 1, publicationNames: [publication] });
  try {
    return await new Promise<RawStreamResult>((resolve, reject) => {
      let seen = 0;
      let begunMs = 0;
      service.on("data", (_lsn: string, message: { readonly tag: string }) => {
        if (message.tag !== "insert") return;
        if (seen === 0) begunMs = performance.now();
        seen += 1;
        if (seen === rows) resolve({ rows: seen, ms: performance.now() - begunMs });
      });
      service.on("error", reject);
      service.subscribe(plugin, slot).catch(reject);
    });
  } finally {
    await service.stop();
  }
}
