import { longText, bigDecimal, float, jsonText, money, nullable, text, timestamp, uuid } from "./values.ts";
import { moods } from "./chaos-tables.ts";
import type { Random } from "./random.ts";

/** One statement that changes rows and writes the ledger's rows for them. */
export interface Statement {
  readonly text: string;
  readonly values: readonly unknown[];
}

/** Columns that ADD COLUMN has given `evolving` so far, in the order they were added. */
export type AddedColumns = readonly string[];

type Write = (random: Random, added: AddedColumns) => Statement;

/** Row keys are drawn from small ranges, so that clients meet, keys come back after a delete, and updates find rows. */
const range = { account: 3_500, document: 350, pair: 400, mixture: 3_500, evolving: 3_500 } as const;
const realms = ["realm 0", "realm 1", "realm 2", 'réalm, "quoted"', ""] as const;

const keyOf = {
  account: "jsonb_build_array(id::text)",
  document: "jsonb_build_array(id::text)",
  pair: "jsonb_build_array(realm, number::text)",
  mixture: "jsonb_build_array(id::text)",
  evolving: "jsonb_build_array(id::text)",
} as const;

type TableId = keyof typeof keyOf;

/**
 * `write` with RETURNING feeds the ledger in the same statement. Its rows get their `seq` while the statement holds
 * the lock of each row it changed, so for one key `seq` follows the order in which the changes took effect.
 */
function recorded(table: TableId, op: string, write: string, values: readonly unknown[] = []): Statement {
  return {
    text: `WITH c AS (${write} RETURNING *, xmax) INSERT INTO ledger (tbl, op, key, chg)
           SELECT '${table}', ${op}, ${keyOf[table]}, chg FROM c`,
    values,
  };
}

/** A key change: the rows' old keys are worked out from the new ones by `oldKey`. */
function rekeyed(table: TableId, oldKey: string, write: string, values: readonly unknown[] = []): Statement {
  return {
    text: `WITH c AS (${write} RETURNING *) INSERT INTO ledger (tbl, op, key, new_key, chg)
           SELECT '${table}', 'k', jsonb_build_array(${oldKey}), ${keyOf[table]}, chg FROM c`,
    values,
  };
}

const fresh = "chg = nextval('chg')";

function accountRow(random: Random): unknown[] {
  return [
    random.int(1, range.account),
    text(random),
    nullable(random, money(random)),
    nullable(random, bigDecimal(random)),
  ];
}

const account: Readonly<Record<string, Write>> = {
  insert: (random) =>
    recorded(
      "account",
      "'i'",
      "INSERT INTO account (id, owner, balance, credit, opened) VALUES ($1, $2, $3, $4, clock_timestamp()) ON CONFLICT DO NOTHING",
      accountRow(random),
    ),
  upsert: (random) =>
    recorded(
      "account",
      "CASE WHEN xmax = 0 THEN 'i' ELSE 'u' END",
      `INSERT INTO account (id, owner, balance, credit) VALUES ($1, $2, $3, $4)
       ON CONFLICT (id) DO UPDATE SET owner = excluded.owner, ${fresh}`,
      accountRow(random),
    ),
  update: (random) =>
    recorded(
      "account",
      "'u'",
      `UPDATE account SET balance = balance + $2, active = NOT active, ${fresh} WHERE id = $1`,
      [random.int(1, range.account), money(random)],
    ),
  delete: (random) => recorded("account", "'d'", "DELETE FROM account WHERE id = $1", [random.int(1, range.account)]),
};

const document: Readonly<Record<string, Write>> = {
  insert: (random) =>
    recorded(
      "document",
      "'i'",
      "INSERT INTO document (id, title, body, meta, raw, revision) VALUES ($1, $2, $3, $4, $5, 0) ON CONFLICT DO NOTHING",
      [
        uuid(random, range.document),
        text(random),
        nullable(random, longText(random, random.int(10, 20_000))),
        nullable(random, JSON.stringify({ pad: longText(random, random.int(10, 6_000)) })),
        nullable(random, jsonText(random)),
      ],
    ),
  // The large columns stay where they are: the stream leaves them out.
  update: (random) =>
    recorded("document", "'u'", `UPDATE document SET title = $2, revision = revision + 1, ${fresh} WHERE id = $1`, [
      uuid(random, range.document),
      text(random),
    ]),
  body: (random) =>
    recorded("document", "'u'", `UPDATE document SET body = $2, ${fresh} WHERE id = $1`, [
      uuid(random, range.document),
      nullable(random, longText(random, random.int(10, 30_000))),
    ]),
  meta: (random) =>
    recorded("document", "'u'", `UPDATE document SET meta = $2, raw = $3, ${fresh} WHERE id = $1`, [
      uuid(random, range.document),
      nullable(random, JSON.stringify({ pad: longText(random, random.int(10, 6_000)) })),
      nullable(random, jsonText(random)),
    ]),
  // A new key whose large columns are nowhere in the stream.
  rekey: (random) => {
    const from = uuid(random, range.document);
    return rekeyed(
      "document",
      "$1::text::uuid::text",
      `UPDATE document SET id = $2, ${fresh} WHERE id = $1::text::uuid AND id <> $2`,
      [from, uuid(random, range.document)],
    );
  },
  delete: (random) => recorded("document", "'d'", "DELETE FROM document WHERE id = $1", [uuid(random, range.document)]),
};

const pair: Readonly<Record<string, Write>> = {
  insert: (random) =>
    recorded(
      "pair",
      "'i'",
      "INSERT INTO pair (realm, number, note, score) VALUES ($1, $2, $3, $4) ON CONFLICT DO NOTHING",
      [random.pick(realms), random.int(1, range.pair), nullable(random, text(random)), nullable(random, float(random))],
    ),
  update: (random) =>
    recorded("pair", "'u'", `UPDATE pair SET note = $3, score = $4, ${fresh} WHERE realm = $1 AND number = $2`, [
      random.pick(realms),
      random.int(1, range.pair),
      nullable(random, text(random)),
      nullable(random, float(random)),
    ]),
  rekey: (random) =>
    rekeyed(
      "pair",
      "$1::text, $2::text",
      `UPDATE pair SET realm = $3, number = $4, ${fresh}
       WHERE realm = $1::text AND number = $2::text::integer AND (realm <> $3 OR number <> $4)`,
      [random.pick(realms), String(random.int(1, range.pair)), random.pick(realms), random.int(1, range.pair)],
    ),
  delete: (random) =>
    recorded("pair", "'d'", "DELETE FROM pair WHERE realm = $1 AND number = $2", [
      random.pick(realms),
      random.int(1, range.pair),
    ]),
};

const mixture: Readonly<Record<string, Write>> = {
  insert: (random) =>
    recorded(
      "mixture",
      "'i'",
      `INSERT INTO mixture (id, mood, tags, numbers, payload, day, at, stamp, ratio, code, small)
       VALUES ($1, $2, $3, $4, $5, '2026-02-03', '23:59:59.999', $6, $7, $8, $9) ON CONFLICT DO NOTHING`,
      [
        random.int(1, range.mixture),
        nullable(random, random.pick(moods)),
        nullable(random, [text(random), null, text(random)]),
        nullable(random, random.chance(0.2) ? [] : [random.int(-1e9, 1e9), null]),
        nullable(random, Buffer.from(longText(random, random.int(1, 50)))),
        nullable(random, timestamp(random)),
        nullable(random, float(random)),
        nullable(random, random.pick(["a", "ab", "abcde"])),
        nullable(random, random.int(-32_768, 32_767)),
      ],
    ),
  update: (random) =>
    recorded("mixture", "'u'", `UPDATE mixture SET mood = $2, tags = $3, stamp = $4, ${fresh} WHERE id = $1`, [
      random.int(1, range.mixture),
      nullable(random, random.pick(moods)),
      nullable(random, [text(random)]),
      nullable(random, timestamp(random)),
    ]),
  rekey: (random) =>
    rekeyed("mixture", "$1::text", `UPDATE mixture SET id = $2, ${fresh} WHERE id = $1::text::integer AND id <> $2`, [
      String(random.int(1, range.mixture)),
      random.int(1, range.mixture + 200),
    ]),
  delete: (random) => recorded("mixture", "'d'", "DELETE FROM mixture WHERE id = $1", [random.int(1, range.mixture)]),
};

const evolving: Readonly<Record<string, Write>> = {
  insert: (random) =>
    recorded("evolving", "'i'", "INSERT INTO evolving (id, label) VALUES ($1, $2) ON CONFLICT DO NOTHING", [
      random.int(1, range.evolving),
      nullable(random, text(random)),
    ]),
  update: (random, added) => {
    const set = added.map((name) => `${name} = CASE WHEN random() < 0.3 THEN NULL ELSE ${name} END, `).join("");
    return recorded("evolving", "'u'", `UPDATE evolving SET label = $2, ${set}${fresh} WHERE id = $1`, [
      random.int(1, range.evolving),
      nullable(random, text(random)),
    ]);
  },
  delete: (random) =>
    recorded("evolving", "'d'", "DELETE FROM evolving WHERE id = $1", [random.int(1, range.evolving)]),
};

/** Carries the newest columns of `evolving`: one that is NULL in every row reaches the target with the next change only. */
export function lastWrite(): Statement {
  const some = "WHERE id = (SELECT min(id) FROM evolving)";
  return recorded("evolving", "'u'", `UPDATE evolving SET label = 'last', ${fresh} ${some}`);
}

/** Statements that change a few thousand rows each. */
const bulk: Readonly<Record<string, Write>> = {
  update: () => recorded("account", "'u'", `UPDATE account SET balance = balance + 1, ${fresh} WHERE id <= 3500`),
  insert: (random) => {
    const from = random.int(10_000, 12_000);
    return recorded(
      "account",
      "'i'",
      `INSERT INTO account (id, owner) SELECT g, 'bulk ' || g FROM generate_series($1::int, $1::int + 2000) g ON CONFLICT DO NOTHING`,
      [from],
    );
  },
  delete: () => recorded("account", "'d'", "DELETE FROM account WHERE id >= 10000"),
  rekeyUp: (random) =>
    rekeyed(
      "pair",
      "realm, (number - 10000)::text",
      `UPDATE pair SET number = number + 10000, ${fresh} WHERE realm = $1 AND number < 10000`,
      [random.pick(realms)],
    ),
  rekeyDown: (random) =>
    rekeyed(
      "pair",
      "realm, (number + 10000)::text",
      `UPDATE pair SET number = number - 10000, ${fresh} WHERE realm = $1 AND number > 10000`,
      [random.pick(realms)],
    ),
  titles: () => recorded("document", "'u'", `UPDATE document SET revision = revision + 1, ${fresh}`),
};

const small = [account, document, pair, mixture, evolving].map((writes) => Object.values(writes));

/** A statement that changes at most one row, of a random table. */
export function smallWrite(random: Random, added: AddedColumns): Statement {
  return random.pick(random.pick(small))(random, added);
}

export function bulkWrite(random: Random): Statement {
  return random.pick(Object.values(bulk))(random, []);
}
