import type { Guard } from "./guard.ts";

const folder = "libs/event-log-kafka/src";
const contract = `${folder}/kafka-event-log.kafka.test.ts`;
const lostAnswers = `${folder}/lost-answers.kafka.test.ts`;
const visible = `${folder}/visible-records.test.ts`;

/** Guards of the event log on Kafka. */
export const kafkaGuards: readonly Guard[] = [
  {
    name: "Kafka: records in a topic of another producer are not ours to delete",
    invariant: "I3",
    file: `${folder}/kafka-event-log.ts`,
    find: "identity === null || identity.epoch === 0",
    replace: "identity === null",
    test: {
      file: "tests/interop/debezium-topics.postgres.kafka.registry.test.ts",
      title: "I3: records of a topic that is not ours are never deleted, however far our delivery is",
    },
  },
  {
    name: "a column that Debezium's update left out is not written over",
    invariant: "I6",
    file: "libs/avro/src/envelope-reader.ts",
    find: "if (isChanged) this.#unavailable",
    replace: 'if (isChanged && op !== "u") this.#unavailable',
    test: {
      file: "libs/avro/src/foreign-topic.test.ts",
      title: "I6: is known by the placeholder of each type, and not by its neighbours",
    },
  },
  {
    name: "Kafka: a topic that is made again gets a higher epoch",
    invariant: "I2",
    file: `${folder}/topic-directory.ts`,
    find: "const epoch = (entry?.epoch ?? 0) + 1;",
    replace: "const epoch = 1;",
    test: {
      file: contract,
      title: "I2: raise their epoch when they are deleted and made again, and keep nothing of before",
    },
  },
  {
    name: "Kafka: a group's progress never moves back",
    invariant: "I2",
    file: `${folder}/commit-queue.ts`,
    find: "next > (this.#committed.get(placeName(place)) ?? -1n)",
    replace: "next >= 0n",
    test: { file: contract, title: "I2: remember how far they are, and never go back" },
  },
  {
    name: "Kafka: a writer of an old epoch is fenced",
    invariant: "I2",
    file: `${folder}/broker-error.ts`,
    find: "new Set([47, 49, 90])",
    replace: "new Set([49, 90])",
    test: { file: contract, title: "I2: of a fenced writer fail and leave nothing" },
  },
  {
    name: "Kafka: sequence numbers go on from append to append",
    invariant: "I3",
    file: `${folder}/transactional-producer.ts`,
    find: "    this.#sequences.set(name, (sequence + batch.count) % sequenceLimit);\n",
    replace: "",
    test: { file: contract, title: "I4: keep the order of each partition, within an append and from one to the next" },
  },
  {
    name: "Kafka: a batch whose answer was lost is sent again",
    invariant: "I3",
    file: `${folder}/production.ts`,
    find: "if (isLost(error) && error instanceof Error) return error;",
    replace: "if (isLost(error) && error instanceof Error) { pending.clear(); return null; }",
    test: { file: lostAnswers, title: "I3: an append whose produce never arrived is there once" },
  },
  {
    name: "Kafka: a topic that may elect a leader without its records is refused",
    invariant: "I3",
    file: `${folder}/topic-settings.ts`,
    find: '    exactly("unclean.leader.election.enable", "false"),\n',
    replace: "",
    test: {
      file: `${folder}/topic-settings.kafka.test.ts`,
      title: "I3: a topic whose unclean.leader.election.enable is true is refused, and the error says what is needed",
    },
  },
  {
    name: "Kafka: a record goes only when the slowest group has applied it",
    invariant: "I3",
    file: `${folder}/retention.ts`,
    find: "if (known === undefined || next < known)",
    replace: "if (known === undefined || next > known)",
    test: { file: contract, title: "keeps a record until every group that has its topic has applied it" },
  },
  {
    name: "Kafka: of a partition a request has one batch, later ones follow",
    invariant: "I4",
    file: `${folder}/rounds.ts`,
    find: "nextRound.set(name, number + 1);",
    replace: "nextRound.set(name, number);",
    test: {
      file: `${folder}/rounds.test.ts`,
      title: "I4: a request has one batch of a partition, later ones come later",
    },
    short: true,
  },
  {
    name: "Kafka: what was aborted is left out",
    invariant: "I5",
    file: `${folder}/visible-records.ts`,
    find: "|| !open.has(producer)",
    replace: "|| open.size >= 0",
    test: { file: visible, title: "I5: nothing that was aborted is seen" },
    short: true,
  },
  {
    name: "Kafka: aborted transactions are taken in the order of their offsets",
    invariant: "I5",
    file: `${folder}/visible-records.ts`,
    find: "aborted.toSorted((one, other) => (one.firstOffset < other.firstOffset ? -1 : 1))",
    replace: "[...aborted]",
    test: { file: visible, title: "I5: nothing that was aborted is seen" },
  },
  {
    name: "Kafka: a commit whose answer was lost is not taken for refused",
    invariant: "I5",
    file: `${folder}/transactional-producer.ts`,
    find: "            unanswered ||= isLost(error);\n",
    replace: "",
    test: {
      file: lostAnswers,
      title: "I5: an append whose commit was answered into nothing, and whose id was taken over",
    },
  },
  {
    name: "Kafka: what was committed before is waited for when state is read",
    invariant: "I5",
    file: `${folder}/partition-scan.ts`,
    find: "    offset = next;\n  }",
    replace: "    offset = next;\n    if (records.length === 0) break;\n  }",
    test: {
      file: `${folder}/open-transaction.kafka.test.ts`,
      title: "I5: state is not answered as it was before a transaction that was open, but when that has ended",
    },
  },
  {
    name: "Kafka: a member that the group has given up joins as a new one",
    invariant: "I7",
    file: `${folder}/group-member.ts`,
    find: '      if (code === codes.unknownMember) this.#memberId = "";\n',
    replace: "",
    test: { file: contract, title: "I7: take back a member that was frozen for longer than its lease" },
  },
  {
    name: "Kafka: an operation waits for a broker that is away",
    invariant: "I7",
    file: `${folder}/cluster.ts`,
    find: "if (!isPassing(error) || performance.now() > endMs)",
    replace: "if (performance.now() >= 0)",
    test: { file: lostAnswers, title: "while the broker cannot be reached, appends wait, and go on when it is back" },
  },
  {
    name: "Kafka: what a login says is not repeated",
    invariant: "I8",
    file: `${folder}/broker-error.ts`,
    find: 'return new DataTraceError("log.login_failed");',
    replace: "return error;",
    test: {
      file: `${folder}/security.kafka.test.ts`,
      title: "I8: with a wrong password scram-sha-256 is log.login_failed, and the password is nowhere in it",
    },
  },
];
