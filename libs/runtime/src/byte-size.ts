const units: Readonly<Record<string, number>> = {
  KB: 1e3,
  MB: 1e6,
  GB: 1e9,
  TB: 1e12,
  KiB: 2 ** 10,
  MiB: 2 ** 20,
  GiB: 2 ** 30,
  TiB: 2 ** 40,
};

/** Bytes of a text such as `20GB` or `512MiB`, whose form the schema has checked. */
export function parseByteSize(text: string): number {
  const match = /^(\d+)([KMGT]i?B)$/.exec(text);
  return Number(match?.[1]) * (units[match?.[2] ?? ""] ?? Number.NaN);
}

/** Such as `1.4 GB`: decimal units, two or three digits. */
export function formatByteSize(sizeBytes: number): string {
  const names = ["B", "kB", "MB", "GB", "TB", "PB"];
  let value = sizeBytes;
  let unit = 0;
  while (value >= 999.5 && unit < names.length - 1) {
    value /= 1000;
    unit++;
  }
  return `${unit === 0 || value >= 99.5 ? Math.round(value) : value.toPrecision(2)} ${names[unit]}`;
}
