/** Record headers of the event contract. Ours start with `datatrace.`, the others are Debezium's. */
export const headers = {
  /** Comma-separated, percent-encoded names of the columns whose value in this event is only a placeholder. */
  unchanged: "datatrace.unchanged",
  /** Followed by the column's percent-encoded name: the source's text of a value that Avro cannot hold. */
  textPrefix: "datatrace.text.",
  /** The same for a cell of the old row that stands beside a new one (`before` of an update). */
  beforeTextPrefix: "datatrace.before_text.",
  /** `*` or delivery ids: a full `r` row of this key will follow, so do not ask for it. */
  rFollows: "datatrace.r_follows",
  /** On the delete of a key change: the new key, as JSON. */
  newKey: "__debezium.newkey",
  /** On the insert of a key change: the old key, as JSON. */
  oldKey: "__debezium.oldkey",
} as const;
