/** What the pipeline file's schema takes from a connector: the value of `type`, and the schema of the other fields. */
export interface ConnectorSchema {
  readonly type: string;
  readonly configSchema: object;
}

export interface ConnectorSchemas {
  readonly sources: readonly ConnectorSchema[];
  readonly targets: readonly ConnectorSchema[];
}

/** The parts of an object schema that are read here. */
export interface ObjectSchema {
  readonly type?: string;
  readonly description?: string;
  readonly properties?: Readonly<Record<string, PropertySchema>>;
  readonly required?: readonly string[];
}

export interface PropertySchema {
  readonly type?: string;
  readonly description?: string;
  /** The value reaches the connector as a `Secret`. */
  readonly writeOnly?: boolean;
}

/** Names of the fields of an entry that are secrets. */
export function secretFields(connector: ConnectorSchema): readonly string[] {
  const { properties = {} } = connector.configSchema as ObjectSchema;
  return Object.keys(properties).filter((name) => properties[name]?.writeOnly === true);
}
