import type { PostgresMajor } from "./postgres-binaries.ts";
import { createDatabase, dropDatabase } from "./postgres-database.ts";
import { postgresOrigin, startPostgres } from "./postgres-server.ts";

/** A server to make databases on; perhaps somebody's own, so it is never stopped under him. */
export interface TestPostgres extends AsyncDisposable {
  readonly major: PostgresMajor;
  /** Of the database `postgres`, as superuser. */
  readonly url: string;
  /** An empty database that nothing else uses; answers its url. */
  createDatabase(): Promise<string>;
}

function givenUrl(major: PostgresMajor): string | undefined {
  const url = process.env[`POSTGRES_${major}_URL`];
  return url === "" ? undefined : url;
}

async function shared(major: PostgresMajor, url: string): Promise<TestPostgres> {
  const made: string[] = [];
  return {
    major,
    url,
    createDatabase: async () => {
      const database = await createDatabase(url);
      made.push(database);
      return database;
    },
    [Symbol.asyncDispose]: async () => {
      for (const database of made) await dropDatabase(url, database);
    },
  };
}

/**
 * The server for tests that only need databases: at `POSTGRES_18_URL` or `POSTGRES_14_URL` where it is set (superuser,
 * `wal_level=logical`), else a throwaway one. Tests that stop or kill their server call `startPostgres`.
 */
export async function testPostgres(major: PostgresMajor, signal?: AbortSignal): Promise<TestPostgres> {
  const url = givenUrl(major);
  return url === undefined ? startPostgres({ major }, signal) : shared(major, url);
}

/** Versions that tests can run against here. Tests of every version go through this list. */
export async function availablePostgres(): Promise<readonly PostgresMajor[]> {
  const majors: PostgresMajor[] = [];
  for (const major of [14, 18] as const) {
    if (givenUrl(major) !== undefined || (await postgresOrigin(major)) !== undefined) majors.push(major);
  }
  return majors;
}
