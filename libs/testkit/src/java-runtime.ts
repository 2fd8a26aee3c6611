import { existsSync, readFileSync, readdirSync, realpathSync } from "node:fs";
import { delimiter, dirname, join } from "node:path";

/** A Java that can run a server. */
export interface JavaRuntime {
  /** The `java` program. */
  readonly program: string;
  /** Feature release: 17, 21, 25. */
  readonly major: number;
}

/** Folders that hold one Java installation each, where packages and people put them. */
const collections: readonly { readonly folder: string; readonly below: string }[] = [
  { folder: "/usr/lib/jvm", below: "" },
  { folder: "/opt", below: "" },
  { folder: "/Library/Java/JavaVirtualMachines", below: "Contents/Home" },
];

function onPath(program: string): readonly string[] {
  const folders = (process.env["PATH"] ?? "").split(delimiter).filter((folder) => folder !== "");
  return folders.map((folder) => join(folder, program)).filter((file) => existsSync(file));
}

/** `JAVA_HOME`, then what `java` on the path belongs to, then what is installed beside it. */
function homes(): readonly string[] {
  const given = process.env["JAVA_HOME"];
  return [
    ...(given === undefined || given === "" ? [] : [given]),
    ...onPath("java").map((file) => dirname(dirname(realpathSync(file)))),
    ...collections.flatMap(({ folder, below }) =>
      existsSync(folder) ? readdirSync(folder).map((name) => join(folder, name, below)) : [],
    ),
  ];
}

/** Every installation has a file `release` that says its version; it is read rather than run, which takes long. */
function runtimeAt(home: string): JavaRuntime | undefined {
  const program = join(home, "bin", "java");
  if (!existsSync(program)) return undefined;
  let release: string;
  try {
    release = readFileSync(join(home, "release"), "utf8");
  } catch {
    return undefined;
  }
  const major = /^JAVA_VERSION="(\d+)/m.exec(release)?.[1];
  return major === undefined ? undefined : { program, major: Number(major) };
}

/** The first Java of this feature release or a later one, or undefined. */
export function findJava(oldest: number): JavaRuntime | undefined {
  return homes()
    .map((home) => runtimeAt(home))
    .find((runtime) => runtime !== undefined && runtime.major >= oldest);
}

/** The first Java of this feature release or a later one that can also compile (a JDK), or undefined. */
export function findJavaCompiler(oldest: number): JavaRuntime | undefined {
  return homes()
    .filter((home) => existsSync(join(home, "bin", "javac")))
    .map((home) => runtimeAt(home))
    .find((runtime) => runtime !== undefined && runtime.major >= oldest);
}

/** True where Maven can fetch what a server consists of. */
export function mavenFound(): boolean {
  return onPath("mvn").length > 0;
}
