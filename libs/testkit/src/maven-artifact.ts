import { runCommand } from "./run-command.ts";

const copyGoal = "org.apache.maven.plugins:maven-dependency-plugin:3.8.1:copy";

/**
 * Has Maven put an artifact (`group:name:version:type:classifier`) into a folder, as `name-version-classifier.type`.
 * Maven checks its checksum, and uses the settings, mirrors and local repository of whoever runs us.
 * @throws Error with the end of what Maven printed.
 */
export async function copyArtifact(artifact: string, folder: string, signal?: AbortSignal): Promise<void> {
  const settings = [`-Dartifact=${artifact}`, `-DoutputDirectory=${folder}`, "-Dmdep.useBaseVersion=true"];
  await runCommand("mvn", ["-q", "-B", copyGoal, ...settings], { cwd: folder }, signal);
}
