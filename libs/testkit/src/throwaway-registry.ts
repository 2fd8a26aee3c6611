/** Certificate and key that a registry shows, as PEM text. */
export interface RegistryTls {
  readonly certificate: string;
  readonly key: string;
}

export interface SchemaRegistryOptions {
  /** Serves https only. */
  readonly tls?: RegistryTls;
  /** What it asks of a new version of a subject; BACKWARD when left out, as registries do by default. */
  readonly compatibility?: "BACKWARD" | "FULL" | "NONE";
}

/**
 * A schema registry of our own on the loopback interface, Confluent-compatible. Disposing of it stops it and removes
 * its data; if this process dies first, even by SIGKILL, a watchdog does the same.
 */
export interface SchemaRegistryServer extends AsyncDisposable {
  readonly port: number;
  /** Of the Confluent-compatible interface: `<url>/subjects` lists the subjects. */
  readonly url: string;
  /** Undefined while it is down, or when it runs in a container. */
  readonly pid: number | undefined;
  /** The lines that the server has logged so far. */
  log(): Promise<string>;
  /** Starts it again on the same data and port. */
  start(signal?: AbortSignal): Promise<void>;
  stop(): Promise<void>;
  /** SIGKILL; returns when it is gone. What was registered before is there after the next `start`. */
  kill(): Promise<void>;
  /** Stops all its threads; connections stay open, and new ones are accepted by the kernel. */
  freeze(): Promise<void>;
  /** Ends `freeze`. */
  thaw(): Promise<void>;
  restart(signal?: AbortSignal): Promise<void>;
}

/** Of Apicurio Registry, which is fetched as a Maven artifact or a container image of this version. */
export const registryVersion = "3.3.3";

/** Where Apicurio speaks Confluent's protocol. */
export const registryPath = "/apis/ccompat/v7";

/** Settings that do not depend on where it runs. */
export function registrySettings(options: SchemaRegistryOptions, dataFile: string): Readonly<Record<string, string>> {
  return {
    APICURIO_RULES_GLOBAL_COMPATIBILITY: options.compatibility ?? "BACKWARD",
    // H2 holds commits back for half a second by default, which a SIGKILL would lose.
    APICURIO_DATASOURCE_URL: `jdbc:h2:file:${dataFile};WRITE_DELAY=0`,
  };
}
