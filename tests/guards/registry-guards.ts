import type { Guard } from "./guard.ts";

const folder = "libs/avro/src";
const answers = `${folder}/registry-answers.test.ts`;
const outage = `${folder}/remote-registry-outage.registry.test.ts`;

/** Guards of the schema registry over HTTP. */
export const registryGuards: readonly Guard[] = [
  {
    name: "a schema that was looked up is known while the registry is away",
    invariant: "I7",
    file: `${folder}/remote-schema-registry.ts`,
    find: "    this.#texts.set(id, text);\n    return text;",
    replace: "    return text;",
    test: {
      file: outage,
      title: "I7: what is known is answered without the registry, what is not is a passing error until it is back",
    },
  },
  {
    name: "a registry that cannot be reached is asked again",
    invariant: "I7",
    file: `${folder}/remote-schema-registry.ts`,
    find: '  "registry.connection_lost",\n',
    replace: "",
    test: { file: outage, title: "I7: a call waits for a registry that is starting" },
  },
  {
    name: "a registry's answer has a time limit for all of it",
    invariant: "I7",
    file: `${folder}/registry-exchange.ts`,
    find: "    late = true;\n    abort();",
    replace: "    late = true;",
    test: { file: answers, title: "I7: an answer that comes in drops is given up at the time limit" },
    short: true,
  },
  {
    name: "a registry's words about a schema are not repeated",
    invariant: "I8",
    file: `${folder}/registry-failure.ts`,
    find: "reasons.exec(JSON.stringify(answer.body))?.[0]",
    replace: "JSON.stringify(answer.body)",
    test: {
      file: answers,
      title: "I8: an incompatible schema is explained by Avro's word for it, not by the schemas",
    },
    short: true,
  },
  {
    name: "of a redirect only the host is named",
    invariant: "I8",
    file: `${folder}/registry-exchange.ts`,
    find: "new URL(location, base).host",
    replace: "new URL(location, base).href",
    test: {
      file: answers,
      title: "I8: a redirect is not followed, the login goes nowhere else, and only its host is named",
    },
  },
];
