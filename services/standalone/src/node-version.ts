const oldestMajor = 24;

/** What to say to somebody who started it with another Node, or null. Without imports: those may not load there. */
export function nodeVersionProblem(version: string, json: boolean): string | null {
  const major = Number(version.split(".")[0]);
  if (major >= oldestMajor) return null;
  const code = "config.node_version";
  const message = `This is Node ${version}; DataTrace needs Node ${oldestMajor} or newer.`;
  const fix = `Start it with \`npm start -- …\`, which uses the Node ${oldestMajor} that \`npm ci\` installs, or install Node ${oldestMajor}.`;
  if (json) return JSON.stringify({ event: "error", severity: "error", code, message, fix });
  return `error ${code}: ${message}\n  fix: ${fix}`;
}
