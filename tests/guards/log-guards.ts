import type { Guard } from "./guard.ts";

const folder = "libs/event-log-sqlite/src";
const contract = `${folder}/sqlite-event-log.long.test.ts`;
const damage = `${folder}/log-damage.long.test.ts`;

/** Guards of the embedded event log. */
export const logGuards: readonly Guard[] = [
  {
    name: "a join gives away the partitions of every group whose member it takes for dead",
    invariant: "I7",
    file: `${folder}/group-store.ts`,
    find: "    this.expire();\n    this.rebalance(group);\n",
    replace: "    this.#removeExpired.all({ nowMs: monotonicMs() });\n    this.rebalance(group);\n",
    test: {
      file: contract,
      title: "I7: hand over the partitions of a dead member though another group joins at that moment",
    },
  },
  {
    name: "an append is one transaction",
    invariant: "I5",
    file: `${folder}/append-store.ts`,
    find: 'if (index > 0) failpoint("log.mid_append");',
    replace:
      'if (index > 0) { for (const half of touched.values()) for (const { row, end } of half.values()) this.#setEnd.run(end, row.id); this.#setEnd.database.exec("COMMIT; BEGIN IMMEDIATE"); failpoint("log.mid_append"); }',
    test: { file: contract, title: "I5: an append that is killed at log.mid_append leaves nothing, in no topic" },
  },
  {
    name: "a commit that the disk failed in is an unknown outcome",
    invariant: "I5",
    file: `${folder}/sqlite-file.ts`,
    find: 'if (sqlite === "SQLITE_FULL") throw error;',
    replace: "throw error;",
    test: {
      file: damage,
      title:
        "I5: after a failed write of the disk the outcome is unknown, the writer is refused, and the next one finds it whole",
    },
  },
  {
    name: "a topic that is made anew has a higher epoch",
    invariant: "I2",
    file: `${folder}/topic-store.ts`,
    find: "SET epoch = epoch + 1, partitions = excluded.partitions",
    replace: "SET epoch = epoch, partitions = excluded.partitions",
    test: {
      file: contract,
      title: "I2: raise their epoch when they are deleted and made again, and keep nothing of before",
    },
  },
  {
    name: "a record is kept until the slowest group has applied it",
    invariant: "I3",
    file: `${folder}/retention.ts`,
    find: "(next < least ? next : least)",
    replace: "(next > least ? next : least)",
    test: { file: contract, title: "keeps a record until every group that has its topic has applied it" },
  },
  {
    name: "a group that has applied nothing yet keeps everything",
    invariant: "I3",
    file: `${folder}/retention.ts`,
    find: "commits.get(partitionId) ?? 0n",
    replace: "commits.get(partitionId) ?? end",
    test: { file: contract, title: "keeps everything for a group that has applied nothing yet" },
  },
  {
    name: "a batch of which a group has applied a part is kept whole",
    invariant: "I3",
    file: `${folder}/retention.ts`,
    find: "const last = rows.findLast((row) => offsetOf(row.id) + row.count <= below);",
    replace: "const last = rows.findLast((row) => offsetOf(row.id) <= below);",
    test: { file: contract, title: "keeps the rest of an append of which a group has applied a part" },
  },
  {
    name: "what was fetched before a seek is dropped",
    invariant: "I3",
    file: `${folder}/sqlite-reader.ts`,
    find: "    held.position = offset;\n    held.turn = null;\n    held.fetched = null;\n",
    replace: "    held.position = offset;\n    held.turn = null;\n",
    test: { file: contract, title: "drop what was fetched before a seek" },
  },
];
