import { setTimeout as delay } from "node:timers/promises";
import { Client, DatabaseError } from "pg";
import type { ShopSize } from "./shop-schema.ts";
import { shopSchema } from "./shop-schema.ts";

const clients = 4;

/**
 * Customers, orders, payments, returns: a few hundred transactions per second until stopped, each changing one to a
 * dozen rows. Outlives the server's death: it connects again and goes on.
 */
export class ShopWorkload {
  readonly #url: string;
  readonly #size: ShopSize;
  readonly #transactionsPerSecond: number;
  readonly #stop = new AbortController();
  #running: Promise<unknown> = Promise.resolve();
  #committed = 0;

  constructor(url: string, size: ShopSize, transactionsPerSecond: number) {
    this.#url = url;
    this.#size = size;
    this.#transactionsPerSecond = transactionsPerSecond;
  }

  /** Transactions whose COMMIT was answered. */
  get committed(): number {
    return this.#committed;
  }

  start(): void {
    this.#running = Promise.all(Array.from({ length: clients }, () => this.#client()));
    this.#running.catch(() => undefined);
  }

  /** Lets the open transactions end. @throws what ended a client, if it was not a lost connection. */
  async stop(): Promise<void> {
    this.#stop.abort();
    await this.#running;
  }

  async #client(): Promise<void> {
    const pauseMs = (1_000 * clients) / this.#transactionsPerSecond;
    while (!this.#stop.signal.aborted) {
      const client = new Client({
        connectionString: this.#url,
        options: `-c search_path=${shopSchema} -c deadlock_timeout=100ms`,
        application_name: "shop",
      });
      client.on("error", () => undefined);
      try {
        await client.connect();
        while (!this.#stop.signal.aborted) {
          const begunMs = performance.now();
          await this.#transaction(client);
          await delay(Math.max(0, pauseMs - (performance.now() - begunMs)));
        }
      } catch (error) {
        if (!isLost(error)) throw error;
        await delay(100);
      } finally {
        await client.end().catch(() => undefined);
      }
    }
  }

  async #transaction(client: Client): Promise<void> {
    try {
      await client.query("BEGIN");
      const keep = await this.#act(client);
      await client.query(keep ? "COMMIT" : "ROLLBACK");
      if (keep) this.#committed += 1;
    } catch (error) {
      // Two of our clients in each other's way: the shop tries something else.
      if (!(error instanceof DatabaseError) || !["40P01", "23505", "23503"].includes(error.code ?? "")) throw error;
      await client.query("ROLLBACK");
    }
  }

  /** One thing that happens in a shop; false = the customer thinks better of it. */
  async #act(client: Client): Promise<boolean> {
    const die = Math.random();
    if (die < 0.45) return await this.#order(client);
    if (die < 0.7) {
      await client.query(
        `UPDATE orders SET status = CASE status WHEN 'placed' THEN 'paid'::order_status ELSE 'shipped' END, shipped = clock_timestamp()
         WHERE id = $1`,
        [this.#anyOrder()],
      );
    } else if (die < 0.78) {
      await client.query("DELETE FROM orders WHERE id = $1", [this.#anyOrder()]);
    } else if (die < 0.86) {
      await client.query("INSERT INTO customers (email, name, interests) VALUES ($1, $2, $3)", [
        `new${Math.random()}@shop.example`,
        "Zoë 新客户",
        ["garden", "quotes ' and \" and \\"],
      ]);
    } else if (die < 0.94) {
      await client.query("UPDATE customers SET credit = credit + 0.25 WHERE id = $1", [any(this.#size.customers)]);
    } else if (die < 0.97) {
      await client.query(
        "UPDATE products SET description = description || ' new', price = price + 0.01 WHERE sku = $1",
        [`SKU-${any(this.#size.products)}`],
      );
    } else {
      // A new key: in the log a delete and an insert.
      const code = `CODE-${any(this.#size.coupons)}`;
      await client.query("UPDATE coupons SET code = $2 WHERE code = $1", [
        code,
        `${code}-${Math.random().toString(36).slice(2, 8)}`,
      ]);
      await client.query("INSERT INTO coupons (code, percent) VALUES ($1, 5) ON CONFLICT DO NOTHING", [code]);
    }
    return true;
  }

  async #order(client: Client): Promise<boolean> {
    const lines = any(4);
    const order = await client.query<{ id: string }>(
      "INSERT INTO orders (customer_id, total, note) VALUES ($1, $2, $3) RETURNING id",
      [any(this.#size.customers), lines * 9.99, Math.random() < 0.1 ? "gift; wrap it" : null],
    );
    // In one order for everybody, so that two customers with the same products do not deadlock.
    const products = Array.from({ length: lines }, () => any(this.#size.products)).toSorted((a, b) => a - b);
    for (const [index, product] of products.entries()) {
      const sku = `SKU-${product}`;
      await client.query("INSERT INTO order_items VALUES ($1, $2, $3, 1, 9.99)", [order.rows[0]?.id, index + 1, sku]);
      await client.query("UPDATE products SET stock = stock - 1 WHERE sku = $1", [sku]);
    }
    return Math.random() > 0.05;
  }

  #anyOrder(): number {
    // The newest a few times more often than the others.
    return Math.random() < 0.5 ? this.#size.orders + any(1_000) : any(this.#size.orders);
  }
}

function any(upTo: number): number {
  return 1 + Math.floor(Math.random() * upTo);
}

/** The server is gone, going, or starting. Anything else is a bug of the demo. */
function isLost(error: unknown): boolean {
  if (error instanceof DatabaseError) return /^(57P|08)/.test(error.code ?? "");
  if (!(error instanceof Error)) return false;
  return "code" in error || /^Connection terminated|connection error|not queryable/.test(error.message);
}
