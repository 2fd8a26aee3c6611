/** Who can do something about it: `timed` = try again by itself, `operator` = a person must act, `never` = final. */
export type Retry = "timed" | "operator" | "never";

interface ErrorSpec {
  readonly retry: Retry;
  /** HTTP status where an API answers with this error. */
  readonly status: number;
  /** What it means, in a sentence without values. */
  readonly means: string;
  readonly fix: string;
}

/** Every error that a user can meet. `docs/errors.md` is generated from it. Sorted by code. */
export const errorTable = {
  "config.env_missing": {
    retry: "operator",
    status: 422,
    means: "The pipeline file uses an environment variable that is not set.",
    fix: "Set the variable, or give a default: ${NAME:-default}.",
  },
  "config.field_unknown": {
    retry: "operator",
    status: 422,
    means: "The pipeline file has a field that this version does not know.",
    fix: "Correct the name (the message suggests one) or remove the field.",
  },
  "config.file_missing": {
    retry: "operator",
    status: 422,
    means: "The pipeline file cannot be read.",
    fix: "Check the path and its permissions.",
  },
  "config.invalid": {
    retry: "operator",
    status: 422,
    means: "The pipeline file is not valid.",
    fix: "Correct the line named in the message; `npm start -- schema` prints the schema.",
  },
  "config.node_version": {
    retry: "operator",
    status: 500,
    means: "This version of Node.js is too old: DataTrace needs Node 24.",
    fix: "Start it with `npm start -- …`, which uses the Node 24 that `npm ci` installs, or install Node 24.",
  },
  "config.port_taken": {
    retry: "operator",
    status: 409,
    means: "The port for health and metrics is in use.",
    fix: "Give another one with `--port`, or `--port 0` for any free port.",
  },
  "config.secret_in_file": {
    retry: "operator",
    status: 422,
    means: "The pipeline file has a password in plain text.",
    fix: "Put the url into an environment variable and write ${NAME} in the file.",
  },
  "config.secret_key_missing": {
    retry: "operator",
    status: 422,
    means: "No key is given that seals and opens the secrets of specs.",
    fix: "Set DATATRACE_SECRET_KEYS to 32 random bytes in base64 (`openssl rand -base64 32`), the same for every service.",
  },
  "config.usage": {
    retry: "operator",
    status: 400,
    means: "The command line is not valid.",
    fix: "Run `npm start -- help`.",
  },
  "control.secret_unreadable": {
    retry: "operator",
    status: 422,
    means: "A secret of a spec cannot be opened: none of the keys has sealed it, or it was changed.",
    fix: "Add the key that sealed it to DATATRACE_SECRET_KEYS, or write the spec again.",
  },
  "control.spec_invalid": {
    retry: "operator",
    status: 422,
    means: "A spec in a control topic is not valid.",
    fix: "Write it again from its pipeline file, with this version.",
  },
  "internal.bug": {
    retry: "never",
    status: 500,
    means: "DataTrace has met a state that should be impossible, and has stopped rather than guess.",
    fix: "Report it with the log; nothing was acknowledged beyond what is stored.",
  },
  "log.closed": {
    retry: "timed",
    status: 503,
    means: "The event log was closed, or the thread that works on it has ended.",
    fix: "Nothing to do: it is opened again, and what was committed is there.",
  },
  "log.commit_unknown": {
    retry: "timed",
    status: 503,
    means: "It is not known whether an append was committed.",
    fix: "Nothing to do: the writer is opened again and reads back what is there.",
  },
  "log.compression_unsupported": {
    retry: "operator",
    status: 422,
    means: "A topic's records are compressed in a way that this version does not read.",
    fix: "Let the topic's producer use no compression, gzip or zstd.",
  },
  "log.connection_lost": {
    retry: "timed",
    status: 503,
    means: "Kafka cannot be reached, or does not answer.",
    fix: "Check that the brokers run and that addresses, network and TLS settings are right; it is tried again.",
  },
  "log.corrupt": {
    retry: "operator",
    status: 500,
    means: "The event log's file is damaged, or a record in it cannot be decoded.",
    fix: "Restore the log file from a backup, or decommission the pipeline and take a new snapshot.",
  },
  "log.fenced": {
    retry: "timed",
    status: 409,
    means: "Another process has taken over this writer.",
    fix: "Nothing to do if a newer process runs; otherwise start it again.",
  },
  "log.format_unsupported": {
    retry: "operator",
    status: 422,
    means: "The event log was written by another version, in a format that this version does not read.",
    fix: "Use the version that wrote it, or another data directory.",
  },
  "log.full": {
    retry: "timed",
    status: 507,
    means: "The event log has reached its size limit, or its disk is full. Nothing was deleted.",
    fix: "Let the deliveries catch up, free disk space, or raise the limit; it goes on by itself.",
  },
  "log.grant_missing": {
    retry: "operator",
    status: 403,
    means: "Kafka does not let this user do what the message names.",
    fix: "Add the ACL for it.",
  },
  "log.group_in_use": {
    retry: "operator",
    status: 409,
    means: "A group cannot be removed while somebody reads with it: a process that delivers still runs.",
    fix: "Stop it, then do it again. One that was killed counts as running for up to 10 seconds.",
  },
  "log.io_failed": {
    retry: "operator",
    status: 500,
    means: "The disk or the permissions of the data directory do not let the event log work.",
    fix: "Check the disk, the permissions and the mount of the data directory; the message names SQLite's error code.",
  },
  "log.locked": {
    retry: "timed",
    status: 503,
    means: "Another process holds the event log's file in the middle of a write.",
    fix: "It goes on when that process (its pid is in the message) wakes up or ends.",
  },
  "log.login_failed": {
    retry: "operator",
    status: 401,
    means: "Kafka refuses the login.",
    fix: "Correct user name, password or SASL mechanism.",
  },
  "log.out_of_range": {
    retry: "operator",
    status: 409,
    means: "A stored offset lies outside of what the log still has.",
    fix: "Decommission the delivery and take a new snapshot.",
  },
  "log.partitions_changed": {
    retry: "operator",
    status: 409,
    means: "A topic exists with another partition count or clean-up policy than asked for.",
    fix: "Set `partitions` back to what the message says, or decommission and start again.",
  },
  "log.record_too_large": {
    retry: "operator",
    status: 413,
    means: "A record is larger than its topic takes.",
    fix: "Raise `max.message.bytes` of the topic.",
  },
  "log.request_refused": {
    retry: "operator",
    status: 502,
    means: "Kafka refused a request.",
    fix: "Look up the error code that the message names in Kafka's protocol guide, and see the broker's log.",
  },
  "log.schema_unsupported": {
    retry: "operator",
    status: 422,
    means: "A topic was written with a schema that this version cannot read.",
    fix: "Upgrade, or take the table that the message names out of the task.",
  },
  "log.topic_recreated": {
    retry: "operator",
    status: 409,
    means: "A topic was deleted and made again: stored offsets do not belong to it.",
    fix: "Decommission the delivery and take a new snapshot.",
  },
  "log.topic_settings": {
    retry: "operator",
    status: 409,
    means: "A topic exists with a setting that does not keep what is relied on.",
    fix: "Change the setting that the message names to the value that is needed.",
  },
  "log.topic_unknown": {
    retry: "operator",
    status: 404,
    means: "There is no topic of this name.",
    fix: "Start the capture first, or check the pipeline's name.",
  },
  "log.two_owners": {
    retry: "operator",
    status: 409,
    means: "Another process takes this capture over again and again. It has stopped here.",
    fix: "Stop the other one (a `run` of the same pipeline, or services with control topics of their own); then start this one again.",
  },
  "log.unsupported_filesystem": {
    retry: "operator",
    status: 422,
    means: "The event log lies on a network file system, where file locks cannot be trusted.",
    fix: "Put the data directory on a local disk.",
  },
  "registry.answer_invalid": {
    retry: "timed",
    status: 502,
    means: "What answers at the schema registry's url is no Confluent-compatible registry.",
    fix: "Check the url, its path (Apicurio: /apis/ccompat/v7) and what stands in between; it is tried again.",
  },
  "registry.connection_lost": {
    retry: "timed",
    status: 503,
    means: "The schema registry cannot be reached. Schemas that are known already are used without it.",
    fix: "Check that it runs and that url and network are right; it is tried again.",
  },
  "registry.grant_missing": {
    retry: "operator",
    status: 403,
    means: "The schema registry does not allow this login what is needed.",
    fix: "Let it read schemas, and where it publishes tables register them under the subject that the message names.",
  },
  "registry.incompatible": {
    retry: "operator",
    status: 409,
    means: "The schema registry refuses a table's new schema as incompatible with an earlier one.",
    fix: "Set the compatibility of the subject that the message names to NONE, or undo the change of the table.",
  },
  "registry.login_failed": {
    retry: "operator",
    status: 401,
    means: "The schema registry refuses the login, or its certificate is not trusted.",
    fix: "Correct user, password, token or TLS settings of the schema registry.",
  },
  "registry.schema_rejected": {
    retry: "operator",
    status: 422,
    means: "The schema registry refuses to register a schema.",
    fix: "Look up the error code that the message names: the subject may be read-only, or have a rule of its own.",
  },
  "registry.schema_unknown": {
    retry: "operator",
    status: 404,
    means: "The schema registry has no schema of this id.",
    fix: "Use the registry that the topic was written with.",
  },
  "registry.transient": {
    retry: "timed",
    status: 503,
    means: "The schema registry cannot answer right now (overloaded, out of order, or too slow).",
    fix: "It is tried again until it works; the message names the HTTP status or the time limit.",
  },
  "sink.connection_lost": {
    retry: "timed",
    status: 503,
    means: "The target cannot be reached.",
    fix: "Check that it runs and that url, network and TLS settings are right; it is tried again.",
  },
  "sink.grant_missing": {
    retry: "operator",
    status: 403,
    means: "The target's role lacks a privilege.",
    fix: "Grant what the message names.",
  },
  "sink.key_parked": {
    retry: "operator",
    status: 409,
    means: "An earlier change of this key is in quarantine; this one waits behind it.",
    fix: "Decide about the first one.",
  },
  "sink.login_failed": {
    retry: "operator",
    status: 401,
    means: "The target refuses the login.",
    fix: "Correct user, password or database in the target's url.",
  },
  "sink.order_dependent": {
    retry: "operator",
    status: 409,
    means: "The target has a constraint across rows, or a trigger: rows may be refused until another row is there.",
    fix: "Drop the constraint that the message names, or keep it and expect retries while its rows arrive.",
  },
  "sink.quarantine_full": {
    retry: "operator",
    status: 409,
    means: "Too many keys of a table are in quarantine: the table itself does not fit the target.",
    fix: "Correct the target table, then decide about the parked keys.",
  },
  "sink.read_only": {
    retry: "timed",
    status: 503,
    means: "The target accepts no writes: it is a standby, or its default is read-only.",
    fix: "Point the url at the primary, or end its read-only state; it is tried again.",
  },
  "sink.row_rejected": {
    retry: "operator",
    status: 422,
    means: "The target refuses one row.",
    fix: "Change the target's column or constraint that the message names, or correct the row at the source.",
  },
  "sink.schema_conflict": {
    retry: "operator",
    status: 409,
    means: "The target table cannot hold the source's columns.",
    fix: "Change the column that the message names, or drop the target table and let it be created.",
  },
  "sink.table_exists": {
    retry: "operator",
    status: 409,
    means: "The target table exists already and `table_exists_strategy` is `fail`.",
    fix: "Drop or rename it, or set `table_exists_strategy: append`.",
  },
  "sink.table_missing": {
    retry: "operator",
    status: 404,
    means: "The target table was there before and is gone.",
    fix: "Restore it, or decommission the delivery and take a new snapshot.",
  },
  "sink.target_rejected": {
    retry: "operator",
    status: 409,
    means: "The target refuses every row of a table.",
    fix: "Correct what the message names; the delivery goes on from its stored offset.",
  },
  "sink.transient": {
    retry: "timed",
    status: 503,
    means: "The target cannot take the rows right now (deadlock, lock timeout, disk full, shutting down).",
    fix: "It is tried again until it works; the message names the cause.",
  },
  "sink.version_unsupported": {
    retry: "operator",
    status: 422,
    means: "The target is older than this version supports.",
    fix: "Upgrade the target to the version that the message names.",
  },
  "source.connection_lost": {
    retry: "timed",
    status: 503,
    means: "The source cannot be reached.",
    fix: "Check that it runs and that url, network and TLS settings are right; it is tried again.",
  },
  "source.decode_failed": {
    retry: "operator",
    status: 500,
    means: "The source sent something that cannot be decoded. The position is not moved.",
    fix: "Report it with the log; upgrade if the server is newer than this version supports.",
  },
  "source.grant_missing": {
    retry: "operator",
    status: 403,
    means: "The source's role lacks a privilege.",
    fix: "Grant what the message names.",
  },
  "source.history_lost": {
    retry: "operator",
    status: 409,
    means: "The source no longer has the changes after the stored position.",
    fix: "Run `decommission`, then `run`: it takes a new snapshot.",
  },
  "source.identity_changed": {
    retry: "operator",
    status: 409,
    means: "The source is another server than the one the stored position belongs to.",
    fix: "Point the url at the first server, or run `decommission` and take a new snapshot.",
  },
  "source.key_unsupported": {
    retry: "operator",
    status: 422,
    means: "Two keys that the source calls equal can differ byte by byte, or the other way round.",
    fix: "Use a key of a deterministic type, or set `partitions: 1`.",
  },
  "source.login_failed": {
    retry: "operator",
    status: 401,
    means: "The source refuses the login.",
    fix: "Correct user, password, database or TLS settings in the source's url.",
  },
  "source.position_missing": {
    retry: "operator",
    status: 409,
    means: "The source has a replication slot of this name, but the log has no position for it.",
    fix: "If no other pipeline uses the slot, drop it; otherwise give this pipeline another name.",
  },
  "source.query_failed": {
    retry: "operator",
    status: 500,
    means: "The source refused a statement.",
    fix: "Look up the SQLSTATE that the message names in the server's log; the position is not moved.",
  },
  "source.replica_identity": {
    retry: "operator",
    status: 422,
    means: "The table's replica identity does not carry its key.",
    fix: "ALTER TABLE … REPLICA IDENTITY DEFAULT (or FULL).",
  },
  "source.schema_change_unsupported": {
    retry: "operator",
    status: 409,
    means: "The table was changed in a way that this version does not carry. Only this table has stopped.",
    fix: "Take the table out of the pipeline, drop the target table, and add it again: it is read anew.",
  },
  "source.setting": {
    retry: "operator",
    status: 422,
    means: "A server setting does not allow logical replication, or endangers it.",
    fix: "Change the setting that the message names.",
  },
  "source.table_missing": {
    retry: "operator",
    status: 404,
    means: "The source has no such table.",
    fix: "Correct the name (the message suggests one), or create it.",
  },
  "source.table_without_key": {
    retry: "operator",
    status: 422,
    means: "The table has no primary key. Only this table has stopped.",
    fix: "Add a primary key, or take the table out of the pipeline.",
  },
  "source.transient": {
    retry: "timed",
    status: 503,
    means: "The source cannot answer right now (lock timeout, deadlock, out of connections, memory or disk).",
    fix: "It is tried again until it works; the message names the cause.",
  },
  "source.truncate_unsupported": {
    retry: "operator",
    status: 409,
    means: "The table was truncated, which this version does not carry. Only this table has stopped.",
    fix: "Take the table out of the pipeline, drop the target table, and add it again: it is read anew.",
  },
  "source.type_unsupported": {
    retry: "operator",
    status: 422,
    means: "A column has a type that this version does not carry.",
    fix: "Change the column's type, or take the table out of the pipeline.",
  },
  "task.stop_timeout": {
    retry: "timed",
    status: 500,
    means: "A part did not stop in time and was ended. Nothing is lost: what was not stored is read again.",
    fix: "Nothing to do; start it again.",
  },
  "task.table_conflict": {
    retry: "operator",
    status: 409,
    means: "Two tasks want the same table in different ways, or write the same target table.",
    fix: "Put the table into one task.",
  },
  "task.table_unmatched": {
    retry: "operator",
    status: 404,
    means: "No table of the source matches.",
    fix: "Correct the pattern, or leave it: a table that is created later is picked up.",
  },
  "task.topic_conflict": {
    retry: "operator",
    status: 409,
    means: "Two tables would be published to the same topic.",
    fix: "Put them into two pipelines of different names.",
  },
} as const satisfies Record<string, ErrorSpec>;

export type ErrorCode = keyof typeof errorTable;

/** What a message may name beside its code: names, counts, settings, SQLSTATEs. Never a cell value or a secret (I8). */
export type ErrorDetail = Readonly<Record<string, string | number | boolean>>;

export interface ErrorOptions {
  readonly cause?: unknown;
  readonly detail?: ErrorDetail;
  /** Replaces the table's general sentence where a better one is known. */
  readonly message?: string;
  readonly fix?: string;
}

/** The one error class. Its code says what happened, the table who can act, its detail where. */
export class DataTraceError extends Error {
  readonly code: ErrorCode;
  readonly detail: ErrorDetail;
  readonly fix: string;

  constructor(code: ErrorCode, options: ErrorOptions = {}) {
    const detail = options.detail ?? {};
    const named = Object.entries(detail)
      .map(([name, value]) => `${name}=${value}`)
      .join(" ");
    const sentence = options.message ?? errorTable[code].means;
    super(
      named === "" ? sentence : `${sentence} (${named})`,
      options.cause === undefined ? undefined : { cause: options.cause },
    );
    this.name = "DataTraceError";
    this.code = code;
    this.detail = detail;
    this.fix = options.fix ?? errorTable[code].fix;
  }

  get retry(): Retry {
    return errorTable[this.code].retry;
  }

  get status(): number {
    return errorTable[this.code].status;
  }
}
