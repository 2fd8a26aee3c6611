/** One thing that two schemas say differently. */
export interface SchemaDifference {
  /** Names of fields on the way, `[]` for an array's items: `before.tags[]`. */
  readonly at: string;
  /** The property, or that of `connect.parameters` behind a slash; `branches` for the order of a union. */
  readonly property: string;
  readonly ours: unknown;
  readonly theirs: unknown;
}

type Json = Readonly<Record<string, unknown>>;

/**
 * Compares two Avro schemas with everything that stands in them: names, the order of fields and of a union's branches,
 * types, defaults and every property of Connect's. A type's bare name is the same as an object that says no more.
 */
export function schemaDifferences(ours: unknown, theirs: unknown, at = ""): readonly SchemaDifference[] {
  const [one, two] = [nodeOf(ours), nodeOf(theirs)];
  if (Array.isArray(one) && Array.isArray(two)) return unionDifferences(one, two, at);
  if (Array.isArray(one) || Array.isArray(two)) return [{ at, property: "type", ours: one, theirs: two }];
  const [left, right] = [one as Json, two as Json];
  return [
    ...propertyDifferences(left, right, at),
    ...fieldDifferences(fieldsOf(left), fieldsOf(right), at),
    ...("items" in left && "items" in right ? schemaDifferences(left["items"], right["items"], `${at}[]`) : []),
  ];
}

function nodeOf(schema: unknown): unknown {
  return typeof schema === "string" ? { type: schema } : schema;
}

function fieldsOf(node: Json): readonly Json[] {
  return (node["fields"] ?? []) as readonly Json[];
}

function branchName(branch: unknown): unknown {
  const node = nodeOf(branch) as Json;
  return node["name"] ?? node["type"];
}

/** Branches are paired by their type, and their order is compared apart from what stands in them. */
function unionDifferences(
  ours: readonly unknown[],
  theirs: readonly unknown[],
  at: string,
): readonly SchemaDifference[] {
  const order = [ours.map(branchName), theirs.map(branchName)];
  const differences = ours.flatMap((branch) => {
    const other = theirs.find((one) => branchName(one) === branchName(branch));
    return other === undefined ? [] : schemaDifferences(branch, other, at);
  });
  if (JSON.stringify(order[0]) === JSON.stringify(order[1])) return differences;
  return [{ at, property: "branches", ours: order[0], theirs: order[1] }, ...differences];
}

const structure = new Set(["fields", "items", "connect.parameters"]);

function propertyDifferences(ours: Json, theirs: Json, at: string): readonly SchemaDifference[] {
  const flat = (node: Json): Map<string, unknown> =>
    new Map([
      ...Object.entries(node).filter(([name]) => !structure.has(name)),
      ...Object.entries((node["connect.parameters"] ?? {}) as Json).map(([name, value]): [string, unknown] => [
        `connect.parameters/${name}`,
        value,
      ]),
    ]);
  const [left, right] = [flat(ours), flat(theirs)];
  return [...new Set([...left.keys(), ...right.keys()])]
    .filter((name) => JSON.stringify(left.get(name)) !== JSON.stringify(right.get(name)))
    .map((property) => ({ at, property, ours: left.get(property), theirs: right.get(property) }));
}

function fieldDifferences(ours: readonly Json[], theirs: readonly Json[], at: string): readonly SchemaDifference[] {
  const names = (fields: readonly Json[]): readonly unknown[] => fields.map((field) => field["name"]);
  if (JSON.stringify(names(ours)) !== JSON.stringify(names(theirs))) {
    return [{ at, property: "fields", ours: names(ours), theirs: names(theirs) }];
  }
  return ours.flatMap((field, index) => {
    const other = theirs[index] ?? {};
    const place = at === "" ? String(field["name"]) : `${at}.${String(field["name"])}`;
    const { type: ourType, ...ourRest } = field;
    const { type: theirType, ...theirRest } = other;
    return [...propertyDifferences(ourRest, theirRest, place), ...schemaDifferences(ourType, theirType, place)];
  });
}
