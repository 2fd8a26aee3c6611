import { randomUUID } from "node:crypto";

import type { ControlTopic } from "./control-topic.ts";

/** That a group has a topic. Commits of the group count only with this stamp: what it committed before is forgotten. */
export interface Registration {
  readonly group: string;
  readonly topic: string;
  readonly stamp: string;
}

/** Which groups have which topics, in a compacted topic of the log: one record of each pair. */
export class GroupRegistrations {
  readonly #control: ControlTopic;

  constructor(control: ControlTopic) {
    this.#control = control;
  }

  async all(signal?: AbortSignal): Promise<readonly Registration[]> {
    return [...(await this.#control.read(signal))].map(([key, stamp]) => {
      const [group = "", topic = ""] = JSON.parse(key) as string[];
      return { group, topic, stamp };
    });
  }

  async of(group: string, signal?: AbortSignal): Promise<readonly Registration[]> {
    return (await this.all(signal)).filter((one) => one.group === group);
  }

  async add(group: string, topics: readonly string[], signal?: AbortSignal): Promise<void> {
    const known = await this.#control.read(signal);
    await this.#control.write(
      [...new Set(topics)]
        .map((topic) => keyOf(group, topic))
        .filter((key) => !known.has(key))
        .map((key) => [key, randomUUID()] as const),
      signal,
    );
  }

  /** The group has exactly these topics from now on. */
  async replace(group: string, topics: readonly string[], signal?: AbortSignal): Promise<void> {
    const wanted = new Set(topics);
    const before = await this.of(group, signal);
    const old = before
      .filter(({ topic }) => !wanted.has(topic))
      .map(({ topic }) => [keyOf(group, topic), null] as const);
    const known = new Set(before.map(({ topic }) => topic));
    const added = [...wanted]
      .filter((topic) => !known.has(topic))
      .map((topic) => [keyOf(group, topic), randomUUID()] as const);
    await this.#control.write([...old, ...added], signal);
  }

  async removeGroup(group: string, signal?: AbortSignal): Promise<void> {
    const own = await this.of(group, signal);
    await this.#control.write(
      own.map(({ topic }) => [keyOf(group, topic), null] as const),
      signal,
    );
  }

  /** What any group has committed of these topics does not count any more: they are deleted. */
  async renew(topics: readonly string[], signal?: AbortSignal): Promise<void> {
    const gone = new Set(topics);
    const touched = (await this.all(signal)).filter(({ topic }) => gone.has(topic));
    await this.#control.write(
      touched.map(({ group, topic }) => [keyOf(group, topic), randomUUID()] as const),
      signal,
    );
  }
}

function keyOf(group: string, topic: string): string {
  return JSON.stringify([group, topic]);
}
