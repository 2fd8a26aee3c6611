import { kafkaVariables } from "@datatrace/runtime";
import { options } from "../commands-table.ts";

/** Names of the variables that only services have. */
export const variableNames = {
  file: "DATATRACE_PIPELINE_FILE",
  keys: "DATATRACE_SECRET_KEYS",
} as const;

export interface ServiceVariable {
  readonly name: string;
  readonly meaning: string;
}

/** Every variable that a service reads. */
export function serviceVariables(): readonly ServiceVariable[] {
  return [
    {
      name: variableNames.keys,
      meaning:
        "Keys that seal and open the secrets in specs: 32 bytes in base64 each, with commas between. The first seals, all open. Required, the same for every service.",
    },
    {
      name: variableNames.file,
      meaning: "A pipeline file, instead of the argument FILE. Without either, the log comes from the variables below.",
    },
    ...(["host", "port", "log-level"] as const).map((name) => ({
      name: options[name].env,
      meaning: `${options[name].help.charAt(0).toUpperCase()}${options[name].help.slice(1)}.`,
    })),
    ...kafkaVariables().map(({ name, path, value, description }) => ({
      name,
      meaning: `\`${path.join(".")}\`${forms[value]}: ${description}`,
    })),
  ];
}

const forms = { text: "", number: "", list: ", with commas between", switch: ", `true` or `false`" } as const;
