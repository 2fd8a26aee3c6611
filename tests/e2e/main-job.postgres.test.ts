import { startPostgres, testPostgres, waitFor } from "@datatrace/testkit";
import type { PostgresServer, TestPostgres } from "@datatrace/testkit";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { PipelineBed, printed } from "./pipeline-bed.ts";

let server: TestPostgres;
let other: PostgresServer;

beforeAll(async () => {
  [server, other] = await Promise.all([testPostgres(18), startPostgres({ major: 14 })]);
});

afterAll(async () => {
  await Promise.all([server[Symbol.asyncDispose](), other[Symbol.asyncDispose]()]);
});

const orders = `CREATE TYPE state AS ENUM ('new', 'paid', 'it''s');
  CREATE TABLE orders (
    id bigint PRIMARY KEY, state state NOT NULL, total numeric(12,2), note text, tags text[], doc jsonb,
    at timestamptz NOT NULL, day date, raw bytea, ref uuid, ratio float8, ok boolean);
  INSERT INTO orders SELECT g, (ARRAY['new','paid','it''s'])[g % 3 + 1]::state, g / 7.0, repeat(md5(g::text), g % 5),
    ARRAY['a', NULL, g::text], jsonb_build_object('n', g), '2026-01-01'::timestamptz + g * interval '1 second',
    '2026-01-01'::date + g % 365, decode(md5(g::text), 'hex'), gen_random_uuid(), sqrt(g), g % 2 = 0
    FROM generate_series(1, 3000) g;
  CREATE TABLE lines (order_id bigint, line int, sku varchar(20), PRIMARY KEY (order_id, line));
  INSERT INTO lines SELECT g, l, 'sku-' || l FROM generate_series(1, 3000) g, generate_series(1, 2) l;`;

const sides = ["SELECT * FROM orders ORDER BY id", "SELECT * FROM lines ORDER BY order_id, line"];

async function expectEqual(bed: PipelineBed): Promise<void> {
  for (const query of sides) expect(await printed(bed.target, query)).toBe(await printed(bed.source, query));
}

/** Changes of every kind that this version carries. */
async function change(bed: PipelineBed, round: number): Promise<void> {
  await bed.source.query(`BEGIN;
    INSERT INTO orders (id, state, at) SELECT 10000 * ${round} + g, 'new', now() FROM generate_series(1, 200) g;
    UPDATE orders SET note = note || ' round ${round}', total = -total WHERE id % 7 = 0;
    UPDATE orders SET id = -id WHERE id = ${round};
    DELETE FROM lines WHERE order_id % 11 = ${round};
    COMMIT`);
  await bed.source.query(`BEGIN; DELETE FROM orders; ROLLBACK`);
}

describe("run --until-caught-up", () => {
  test("snapshots, delivers what was committed, goes on where it was, exits 0; between PostgreSQL 18 and 14", async () => {
    await using bed = await PipelineBed.open({ name: "main_job" }, server, other);
    await bed.source.query(orders);
    for (let round = 1; round <= 3; round++) {
      const run = bed.start("run", "--until-caught-up");
      await run.exits(0);
      expect(run.records.at(-1)).toMatchObject({ event: "result", caughtUp: true, ok: true, partitionsVerified: 6 });
      await expectEqual(bed);
      await change(bed, round);
    }
    const last = bed.start("run", "--until-caught-up");
    await last.exits(0);
    await expectEqual(bed);
    const idle = bed.start("run", "--until-caught-up");
    await idle.exits(0);
    expect(idle.records.at(-1)).toMatchObject({ ok: true, rowsApplied: 0 });
    await expectEqual(bed);
  });

  test("a table that cannot be carried makes it 1; the others are delivered", async () => {
    await using bed = await PipelineBed.open({ name: "partly" }, server);
    await bed.source.query(`${orders} CREATE TABLE keyless (a int)`);
    const run = bed.start("run", "--until-caught-up");
    await run.exits(1);
    expect(run.records).toContainEqual(
      expect.objectContaining({ event: "error", code: "source.table_without_key", at: "public.keyless" }),
    );
    expect(run.records.at(-1)).toMatchObject({ event: "result", caughtUp: true, ok: false, stopped: 1 });
    await expectEqual(bed);
  });

  test("mode snapshot ends by itself, and leaves no slot", async () => {
    await using bed = await PipelineBed.open({ name: "once", mode: "snapshot" }, server);
    await bed.source.query(orders);
    const run = bed.start("run");
    await run.exits(0);
    await expectEqual(bed);
    const slots = await bed.source.query("SELECT 1 FROM pg_replication_slots WHERE database = current_database()");
    expect(slots.rowCount).toBe(0);
  });
});

describe("run", () => {
  test("streams; capture and sink as processes of their own give the same", async () => {
    await using bed = await PipelineBed.open({ name: "split" }, server, other);
    await bed.source.query(orders);
    const sink = bed.start("run", "--only", "sink");
    await sink.adminUrl();
    const capture = bed.start("run", "--only", "capture");
    for (const query of sides) expect(await bed.equal(query)).not.toBe("");
    await change(bed, 1);
    for (const query of sides) await bed.equal(query);
    capture.signal("SIGTERM");
    await capture.exits(0, 10_000);
    await change(bed, 2);
    const again = bed.start("run", "--only", "capture", "--until-caught-up");
    await again.exits(0);
    sink.signal("SIGTERM");
    await sink.exits(0, 10_000);
    const rest = bed.start("run", "--only", "sink", "--until-caught-up");
    await rest.exits(0);
    await expectEqual(bed);
  });

  test("I2, I3: SIGTERM under load ends within 10 s; after a restart nothing is lost and nothing applied twice", async () => {
    await using bed = await PipelineBed.open({ name: "sigterm" }, server, other);
    await bed.source.query("CREATE TABLE counters (id int PRIMARY KEY, n int NOT NULL)");
    await bed.source.query("INSERT INTO counters SELECT g, 0 FROM generate_series(1, 50) g");
    const first = bed.start("run", "--until-caught-up");
    await first.exits(0);
    // Every write of a version is kept: one that comes twice, or goes back, shows.
    await bed.target.query(`CREATE TABLE seen (at bigserial, id int, n int);
      CREATE FUNCTION see() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN INSERT INTO seen (id, n) VALUES (NEW.id, NEW.n); RETURN NEW; END $$;
      CREATE TRIGGER see AFTER INSERT OR UPDATE ON counters FOR EACH ROW EXECUTE FUNCTION see()`);
    const loaded = new AbortController();
    const load = (async () => {
      while (!loaded.signal.aborted)
        await bed.source.query("UPDATE counters SET n = n + 1 WHERE id = 1 + (random() * 49)::int");
    })();
    for (let round = 1; round <= 3; round++) {
      const before = Number(await printed(bed.target, "SELECT count(*) FROM seen"));
      const run = bed.start("run");
      await waitFor(async () => Number(await printed(bed.target, "SELECT count(*) FROM seen")) > before + 100, {
        deadlineMs: 30_000,
        what: "changes to be applied",
      });
      const askedMs = performance.now();
      run.signal("SIGTERM");
      await run.exits(0, 10_000);
      expect(performance.now() - askedMs).toBeLessThan(10_000);
    }
    loaded.abort();
    await load;
    const last = bed.start("run", "--until-caught-up");
    await last.exits(0);
    await bed.equal("SELECT * FROM counters ORDER BY id", 100);
    expect(await printed(bed.target, "SELECT id, n FROM seen GROUP BY id, n HAVING count(*) > 1")).toBe("");
    const back =
      "SELECT 1 FROM (SELECT n, lag(n) OVER (PARTITION BY id ORDER BY at) AS before FROM seen) s WHERE n <= before";
    expect(await printed(bed.target, back)).toBe("");
  });

  test("I2: a second run takes over undisturbed; the first ends with log.fenced", async () => {
    await using bed = await PipelineBed.open({ name: "takeover" }, server);
    await bed.source.query(orders);
    const first = bed.start("run");
    for (const query of sides) await bed.equal(query);
    const second = bed.start("run");
    await second.adminUrl();
    // Nothing is committed meanwhile: it is not an append that tells the first one.
    await first.exits(1, 30_000);
    expect(second.log.map(({ event }) => event)).not.toContain("capture is interrupted, tries again");
    await change(bed, 1);
    expect(first.records).toContainEqual(
      expect.objectContaining({ event: "error", code: "log.fenced", at: "capture shop" }),
    );
    for (const query of sides) await bed.equal(query);
    expect(second.running).toBe(true);
  });
});

describe("while it runs", () => {
  test("a table that is created joins, with the rows it has; other tables go on", async () => {
    await using bed = await PipelineBed.open(
      { name: "joins", objects: ["- table: public.order*", "- table: public.lines"] },
      server,
    );
    await bed.source.query(orders);
    const run = bed.start("run");
    for (const query of sides) await bed.equal(query);
    await bed.source.query("CREATE TABLE order_notes (id int PRIMARY KEY, note text)");
    await bed.source.query("CREATE TABLE unrelated (id int PRIMARY KEY)");
    await bed.source.query("INSERT INTO order_notes SELECT g, 'n' || g FROM generate_series(1, 500) g");
    await run.line("log", { event: "table joined the capture", table: "public.order_notes" });
    await bed.source.query("UPDATE order_notes SET note = note || '!' WHERE id % 2 = 0");
    await change(bed, 1);
    await bed.equal("SELECT * FROM order_notes ORDER BY id");
    for (const query of sides) await bed.equal(query);
    expect(await printed(bed.target, "SELECT to_regclass('public.unrelated')")).toBe("null");
    expect(run.running).toBe(true);
  });

  test("ADD COLUMN without, with a constant and with a volatile default: existing rows included", async () => {
    await using bed = await PipelineBed.open({ name: "add_column" }, server);
    await bed.source.query("CREATE TABLE items (id int PRIMARY KEY, note text)");
    await bed.source.query("INSERT INTO items SELECT g, 'n' || g FROM generate_series(1, 1000) g");
    const run = bed.start("run");
    const columns = ["id", "note"];
    const all = () => `SELECT ${columns.join(", ")} FROM items ORDER BY id`;
    await bed.equal(all());
    for (const [name, definition] of [
      ["plain", "text"],
      ["constant", "int NOT NULL DEFAULT 7"],
      ["volatile", "uuid DEFAULT gen_random_uuid()"],
    ] as const) {
      await bed.source.query(`ALTER TABLE items ADD COLUMN ${name} ${definition}`);
      columns.push(name);
      await bed.source.query("UPDATE items SET note = note || '+' WHERE id % 100 = 0");
      await bed.source.query(`INSERT INTO items (id, note) VALUES (${2000 + columns.length}, 'new')`);
      await bed.equal(all());
    }
    expect(await printed(bed.target, "SELECT count(*) FROM items WHERE constant = 7 AND volatile IS NOT NULL")).toBe(
      "1003",
    );
    expect(run.running).toBe(true);
  });
});
