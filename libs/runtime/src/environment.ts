export type Environment = Readonly<Record<string, string | undefined>>;

export interface Substitution {
  readonly text: string;
  /** Names that are not set and have no default. */
  readonly missing: readonly string[];
  /** True when a `${` is left that is no reference. */
  readonly malformed: boolean;
  /** True when a part came from a variable that is set. */
  readonly substituted: boolean;
}

const reference = /\$(\$\{)|\$\{([A-Za-z_][A-Za-z0-9_]*)(?::-((?:[^}\\]|\\.)*))?\}/g;

/** Replaces `${NAME}` and `${NAME:-default}` (also for a variable that is empty, as in a shell); `$${` is a plain `${`. */
export function substitute(text: string, environment: Environment): Substitution {
  const missing: string[] = [];
  let substituted = false;
  const replaced = text.replaceAll(reference, (_, escaped?: string, name?: string, fallback?: string) => {
    if (escaped !== undefined || name === undefined) return "${";
    const value = environment[name];
    if (value !== undefined && (value !== "" || fallback === undefined)) {
      substituted = true;
      return value;
    }
    if (fallback === undefined) missing.push(name);
    return fallback?.replaceAll(/\\(.)/g, "$1") ?? "";
  });
  return { text: replaced, missing, malformed: text.replaceAll(reference, "").includes("${"), substituted };
}
