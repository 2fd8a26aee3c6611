import type { Database, Statement } from "better-sqlite3";

/**
 * Which groups have which topics. It lies in the log's file, so that the transaction that deletes records sees every
 * group that was registered before it.
 */
export class RegistrationStore {
  readonly #add: Statement;
  readonly #remove: Statement;
  readonly #removeGroup: Statement;
  readonly #topics: Statement;
  readonly #groups: Statement;

  constructor(database: Database) {
    this.#add = database.prepare('INSERT OR IGNORE INTO group_topics ("group", topic) VALUES (?, ?)');
    this.#remove = database.prepare('DELETE FROM group_topics WHERE "group" = ? AND topic = ?');
    this.#removeGroup = database.prepare('DELETE FROM group_topics WHERE "group" = ?');
    this.#topics = database.prepare('SELECT topic FROM group_topics WHERE "group" = ? ORDER BY topic').pluck();
    this.#groups = database.prepare('SELECT DISTINCT "group" FROM group_topics').pluck();
  }

  add(group: string, topics: readonly string[]): void {
    for (const topic of topics) this.#add.run(group, topic);
  }

  /** Whether the group has all these topics, and no others when it `exactly` has them. */
  has(group: string, topics: readonly string[], exactly: boolean): boolean {
    const registered = new Set(this.topics(group));
    return topics.every((topic) => registered.has(topic)) && (!exactly || registered.size === new Set(topics).size);
  }

  /** The group has exactly these topics from now on. */
  replace(group: string, topics: readonly string[]): void {
    const wanted = new Set(topics);
    this.remove(
      group,
      this.topics(group).filter((topic) => !wanted.has(topic)),
    );
    this.add(group, topics);
  }

  remove(group: string, topics: readonly string[]): void {
    for (const topic of topics) this.#remove.run(group, topic);
  }

  removeGroup(group: string): void {
    this.#removeGroup.run(group);
  }

  topics(group: string): readonly string[] {
    return this.#topics.all(group) as string[];
  }

  groups(): readonly string[] {
    return this.#groups.all() as string[];
  }
}
