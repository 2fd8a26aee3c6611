import { DataTraceError } from "@datatrace/core";
import type { AppendedRange, EventLog, LogRecord, LogWriter } from "@datatrace/core";
import { expect } from "vitest";
import { expectCode, textRecord, unique } from "./event-log-case.ts";
import type { EventLogHarness } from "./event-log-harness.ts";
import type { Place } from "./event-log-model-place.ts";
import type { ModelRecord, ModelStep } from "./event-log-model-step.ts";
import { nameOf, Probe } from "./event-log-probe.ts";

/** A log and the simplest thing that should behave like it: one list of records per partition. */
export class EventLogModel implements AsyncDisposable {
  readonly #harness: EventLogHarness;
  readonly #places: Place[];
  readonly #group = unique("model");
  readonly #writerId = unique("model");
  #log: EventLog;
  #writer: LogWriter;
  #probe: Probe;
  #checked = 0;
  #count = 0;

  private constructor(harness: EventLogHarness, places: Place[], log: EventLog, writer: LogWriter, probe: Probe) {
    this.#harness = harness;
    this.#places = places;
    this.#log = log;
    this.#writer = writer;
    this.#probe = probe;
  }

  static async open(harness: EventLogHarness): Promise<EventLogModel> {
    const log = await harness.open();
    const specs = [
      { name: unique("model"), partitions: 3, cleanup: "delete" },
      { name: unique("model"), partitions: 1, cleanup: "delete" },
      { name: unique("model"), partitions: 2, cleanup: "compact" },
    ] as const;
    for (const spec of specs) await log.ensureTopic(spec);
    const places = specs.flatMap(({ name: topic, partitions, cleanup }) =>
      Array.from({ length: partitions }, (_, partition): Place => {
        const start = { position: 0n, committed: 0n, paused: false };
        return { topic, partition, compacted: cleanup === "compact", records: [], ...start };
      }),
    );
    const writer = await log.openWriter(unique("model"));
    const probe = await Probe.open(log, unique("model"), []);
    const model = new EventLogModel(harness, places, log, writer, probe);
    await model.#openWriter();
    await model.#openReader();
    return model;
  }

  /** How many records were appended. */
  get count(): number {
    return this.#count;
  }

  async step(step: ModelStep): Promise<void> {
    switch (step.kind) {
      case "append":
        await this.#append(step.records);
        break;
      case "read":
        await this.#readAll();
        break;
      case "read_some":
        await this.#readSome(step.polls);
        break;
      case "seek":
        await this.#seek(this.#place(step.place), step.to);
        break;
      case "pause":
        await this.#setPaused(this.#place(step.place), true);
        break;
      case "resume":
        await this.#setPaused(this.#place(step.place), false);
        break;
      case "commit":
        await this.#commit(this.#place(step.place));
        break;
      case "reclaim":
        await this.#reclaim();
        break;
      case "latest":
        await this.#checkLatest();
        break;
      case "fence":
        await this.#fence();
        break;
      case "reopen_reader":
        await this.#probe[Symbol.asyncDispose]();
        await this.#openReader();
        break;
      case "restart":
        await this.#log[Symbol.asyncDispose]();
        this.#log = await this.#harness.open();
        await this.#openWriter();
        await this.#openReader();
        break;
    }
  }

  /** Reads everything that is left, and compares. */
  async finish(): Promise<void> {
    for (const place of this.#places) await this.#setPaused(place, false);
    await this.#readAll();
    await this.#checkLatest();
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#log[Symbol.asyncDispose]();
  }

  async #append(records: readonly ModelRecord[]): Promise<void> {
    const made = records.map((record) => this.#make(record));
    const ranges = await this.#writer.append(made.map(({ record }) => record));
    this.#count += made.length;
    const next = new Map(ranges.map((range) => [nameOf(range), range.first]));
    for (const { place, key, value } of made) {
      const offset = next.get(nameOf(place)) ?? -1n;
      expect(offset).toBeGreaterThan(place.records.at(-1)?.offset ?? -1n);
      next.set(nameOf(place), offset + 1n);
      place.records.push({ offset, key, value });
    }
    expect(ranges.map((range) => range.last + 1n)).toEqual(ranges.map((range) => next.get(nameOf(range))));
  }

  #make(record: ModelRecord): { place: Place; key: string; value: string | null; record: LogRecord } {
    const place = this.#place(record.place);
    const key = `key ${record.key}`;
    const value = record.tombstone ? null : `${this.#count}/${place.records.length}`.padEnd(record.sizeBytes, "x");
    return { place, key, value, record: textRecord(place.topic, value, key, place.partition) };
  }

  async #readAll(): Promise<void> {
    const open = this.#places.filter((place) => !place.paused);
    const ranges = open.flatMap((place): AppendedRange[] => {
      const last = place.records.at(-1);
      return last === undefined || last.offset < place.position
        ? []
        : [{ ...place, first: last.offset, last: last.offset }];
    });
    await this.#probe.through(ranges);
    this.#check();
    for (const place of open) {
      const last = place.records.at(-1);
      if (last !== undefined) expect(place.position, nameOf(place)).toBeGreaterThan(last.offset);
    }
  }

  async #readSome(polls: number): Promise<void> {
    for (let poll = 0; poll < polls; poll += 1) {
      // With nothing to come, only an abort ends a poll.
      const due = this.#places.some(
        (place) => !place.paused && (place.records.at(-1)?.offset ?? -1n) >= place.position,
      );
      if (!due) {
        const abort = new AbortController();
        setImmediate(() => abort.abort());
        await this.#probe.poll(abort.signal).catch((error: unknown) => expect(error).toBe(abort.signal.reason));
      } else {
        await this.#probe.poll();
      }
      this.#check();
    }
  }

  /** What has arrived since the last look must be what the model has at each place's position. */
  #check(): void {
    const seen = this.#probe.seen.slice(this.#checked);
    this.#checked = this.#probe.seen.length;
    for (const record of seen) {
      const place = this.#places.find((one) => nameOf(one) === nameOf(record));
      if (place === undefined) throw new Error("a record of a foreign topic");
      expect(place.paused, "a paused partition is silent").toBe(false);
      const due = place.records.filter((one) => one.offset >= place.position && one.offset <= record.offset);
      const expected = due.at(-1);
      expect({ offset: record.offset, key: record.key, value: record.value }).toEqual(expected);
      const skipped = due.slice(0, -1);
      // Only a compacted topic may leave records out, and only those that a later one of their key replaces.
      const replaced = skipped.every(
        (one) =>
          place.compacted &&
          (one.value === null || place.records.some((later) => later.key === one.key && later.offset > one.offset)),
      );
      expect(replaced, `records left out before ${record.offset} of ${nameOf(place)}`).toBe(true);
      place.position = record.offset + 1n;
    }
  }

  async #seek(place: Place, to: number): Promise<void> {
    const { earliest, end } = await this.#log.bounds(place);
    const target = place.records[to % Math.max(place.records.length, 1)]?.offset ?? 0n;
    const offset = target < earliest ? earliest : target;
    expect(end).toBeGreaterThanOrEqual(offset);
    await this.#probe.until(() => this.#probe.held.has(nameOf(place)), "the assignment");
    this.#check();
    this.#jump(place, offset);
  }

  async #setPaused(place: Place, paused: boolean): Promise<void> {
    await this.#probe.until(() => this.#probe.held.has(nameOf(place)), "the assignment");
    this.#check();
    place.paused = paused;
    if (paused) this.#probe.reader.pause([place]);
    else this.#probe.reader.resume([place]);
  }

  async #commit(place: Place): Promise<void> {
    await this.#probe.until(() => this.#probe.held.has(nameOf(place)), "the assignment");
    this.#check();
    await this.#probe.reader.commit(place, place.position);
    place.committed = place.position > place.committed ? place.position : place.committed;
  }

  async #reclaim(): Promise<void> {
    await this.#probe.until(() => this.#places.every((place) => this.#probe.held.has(nameOf(place))), "the assignment");
    this.#check();
    await this.#harness.reclaim(this.#log);
    const behind = new Map<Place, bigint>();
    for (const place of this.#places) {
      const { earliest } = await this.#log.bounds(place);
      expect(earliest, "nothing is deleted that the group has not applied").toBeLessThanOrEqual(place.committed);
      behind.set(place, earliest);
    }
    for (const [place, earliest] of behind) {
      if (place.paused) this.#jump(place, earliest);
    }
    // A reader that was sent back below what it had committed gets what it had fetched before the deletion, or an error.
    while ([...behind].some(([place, earliest]) => place.position < earliest)) {
      await this.#probe.poll().catch((error: unknown) => {
        const refused = this.#refused(error);
        this.#check();
        expect(refused.position).toBeLessThan(behind.get(refused) ?? 0n);
        this.#jump(refused, behind.get(refused) ?? 0n);
      });
      this.#check();
    }
  }

  #jump(place: Place, offset: bigint): void {
    this.#probe.seek(place, offset);
    place.position = offset;
  }

  /** The place that a `log.out_of_range` is about. */
  #refused(error: unknown): Place {
    if (!(error instanceof DataTraceError) || error.code !== "log.out_of_range") throw error;
    const { topic, partition } = error.detail;
    const place = this.#places.find((one) => one.topic === topic && one.partition === partition);
    if (place === undefined) throw error;
    return place;
  }

  async #checkLatest(): Promise<void> {
    const places = this.#places.filter((place) => place.compacted);
    const [first] = places;
    if (first === undefined) return;
    const text = (bytes: Uint8Array | null): string | null => (bytes === null ? null : Buffer.from(bytes).toString());
    const actual = (await this.#log.latestByKey(first.topic)).map(({ offset, key, value }) => ({
      offset,
      key: text(key),
      value: text(value),
    }));
    const expected = places.flatMap((place) =>
      place.records.filter(
        (record, index) =>
          record.value !== null && !place.records.some((later, at) => at > index && later.key === record.key),
      ),
    );
    expect(actual).toEqual(expected);
  }

  async #fence(): Promise<void> {
    const fenced = this.#writer;
    await this.#openWriter();
    const { topic, partition } = this.#place(0);
    await expectCode(fenced.append([textRecord(topic, "zombie", "zombie", partition)]), "log.fenced");
  }

  async #openWriter(): Promise<void> {
    this.#writer = await this.#log.openWriter(this.#writerId);
  }

  async #openReader(): Promise<void> {
    const topics = [...new Set(this.#places.map((place) => place.topic))];
    this.#probe = await Probe.open(this.#log, this.#group, topics, (partition) => {
      const place = this.#places.find((one) => nameOf(one) === nameOf(partition));
      return place?.position ?? null;
    });
    this.#checked = 0;
    for (const place of this.#places) place.paused = false;
  }

  #place(number: number): Place {
    const place = this.#places[number % this.#places.length];
    if (place === undefined) throw new Error("a model has places");
    return place;
  }
}
