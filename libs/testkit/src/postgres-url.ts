export function postgresUrl(port: number, password: string | undefined, database = "postgres"): string {
  const login = password === undefined ? "postgres" : `postgres:${encodeURIComponent(password)}`;
  return `postgresql://${login}@127.0.0.1:${port}/${database}`;
}
