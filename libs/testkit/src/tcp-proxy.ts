import { once } from "node:events";
import { connect, createServer } from "node:net";
import type { Server, Socket } from "node:net";
import { setTimeout as delay } from "node:timers/promises";
import { claimPort } from "./port-claim.ts";
import type { PortClaim } from "./port-claim.ts";

export type Direction = "to-server" | "to-client";

/**
 * Where the cut is made, seen from the bytes that matched. `before`: they are not delivered. `after`: they are, and
 * nothing that follows. `answer` (only to-server): they are, the proxy waits until the server has answered, and the
 * answer is lost: so a COMMIT has happened and its client cannot know.
 */
export type CutPlace = "before" | "after" | "answer";

export interface CutRule {
  readonly direction: Direction;
  /** Text that a chunk must hold, or a look at the chunk. A chunk is what one read of the socket gave. */
  readonly match: string | ((chunk: Buffer) => boolean);
  readonly cut: CutPlace;
  /** Matches to let pass first; 0 when left out. */
  readonly skip?: number;
}

/** A cut that is planned, and made once. `fired` resolves when it has been; it never rejects. */
export interface PlannedCut {
  readonly fired: Promise<void>;
  cancel(): void;
}

interface Connection {
  readonly client: Socket;
  readonly server: Socket;
  readonly over: AbortController;
  /** The server's next bytes are the answer that gets lost. */
  loseAnswer: (() => void) | undefined;
}

interface Verdict {
  readonly deliver: Buffer;
  readonly next: "go-on" | "cut" | "lose-answer";
  readonly fire?: () => void;
}

type Judge = (direction: Direction, chunk: Buffer) => Verdict | undefined;

const nothing = Buffer.alloc(0);

/** A network that a test can break, between a client and one server on the loopback interface. */
export class TcpProxy implements AsyncDisposable {
  readonly #claim: PortClaim;
  readonly #targetPort: number;
  readonly #server: Server;
  readonly #connections = new Set<Connection>();
  readonly #judges = new Set<Judge>();
  #delayMs = 0;
  #open: PromiseWithResolvers<void> | undefined;

  private constructor(claim: PortClaim, targetPort: number) {
    this.#claim = claim;
    this.#targetPort = targetPort;
    this.#server = createServer({ allowHalfOpen: true, noDelay: true }, (client) => {
      this.#accept(client);
    });
  }

  /** Listens on a free port of the loopback interface. */
  static async start(targetPort: number): Promise<TcpProxy> {
    const proxy = new TcpProxy(await claimPort(), targetPort);
    await proxy.accept();
    return proxy;
  }

  get port(): number {
    return this.#claim.port;
  }

  /** How many connections go through it now. */
  get connections(): number {
    return this.#connections.size;
  }

  /** The same url, through the proxy. */
  through(url: string): string {
    const changed = new URL(url);
    changed.hostname = "127.0.0.1";
    changed.port = String(this.port);
    return changed.href;
  }

  /** Resets every connection on both sides. Answers how many there were. */
  cut(): number {
    const count = this.#connections.size;
    for (const connection of this.#connections) this.#reset(connection);
    return count;
  }

  cutOn({ direction, match, cut, skip = 0 }: CutRule): PlannedCut {
    if (cut === "answer" && direction !== "to-server") throw new Error("only a request has an answer");
    const matches = typeof match === "string" ? (chunk: Buffer) => chunk.includes(match) : match;
    let left = skip;
    return this.#plan(direction, (chunk) => {
      if (!matches(chunk) || left-- > 0) return undefined;
      return { deliver: cut === "before" ? nothing : chunk, next: cut === "answer" ? "lose-answer" : "cut" };
    });
  }

  /** Delivers exactly this many more bytes in one direction, over all connections, then resets the one they went to. */
  cutAfter(direction: Direction, sizeBytes: number): PlannedCut {
    let left = sizeBytes;
    return this.#plan(direction, (chunk) => {
      const deliver = chunk.subarray(0, left);
      left -= deliver.length;
      return left > 0 ? undefined : { deliver, next: "cut" };
    });
  }

  /** Holds each chunk back this long in each direction, one after the other; 0 ends it. */
  delay(delayMs: number): void {
    this.#delayMs = delayMs;
  }

  /** Nothing is delivered any more and nobody is told, as in a network that drops all packets; connecting still works. */
  blackhole(): void {
    this.#open ??= Promise.withResolvers<void>();
  }

  /** Ends `blackhole`: what was held is delivered, as TCP would repeat it. */
  restore(): void {
    this.#open?.resolve();
    this.#open = undefined;
  }

  /** New connections are refused, as by a host where nothing listens; those that exist go on. */
  async refuse(): Promise<void> {
    if (!this.#server.listening) return;
    this.#server.close();
  }

  /** Ends `refuse`. */
  async accept(): Promise<void> {
    if (this.#server.listening) return;
    this.#server.listen({ port: this.port, host: "127.0.0.1" });
    await once(this.#server, "listening");
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#judges.clear();
    await this.refuse();
    this.cut();
    this.restore();
    this.#claim[Symbol.dispose]();
  }

  #plan(direction: Direction, judge: (chunk: Buffer) => Omit<Verdict, "fire"> | undefined): PlannedCut {
    const { promise: fired, resolve } = Promise.withResolvers<void>();
    const mine: Judge = (seen, chunk) => {
      const verdict = seen === direction ? judge(chunk) : undefined;
      if (verdict === undefined) return undefined;
      this.#judges.delete(mine);
      return { ...verdict, fire: resolve };
    };
    this.#judges.add(mine);
    return {
      fired,
      cancel: () => {
        this.#judges.delete(mine);
      },
    };
  }

  #accept(client: Socket): void {
    const server = connect({ port: this.#targetPort, host: "127.0.0.1", allowHalfOpen: true, noDelay: true });
    const connection: Connection = { client, server, over: new AbortController(), loseAnswer: undefined };
    this.#connections.add(connection);
    void this.#pump(connection, "to-server");
    void this.#pump(connection, "to-client");
  }

  #reset(connection: Connection): void {
    this.#connections.delete(connection);
    connection.over.abort();
    // A socket that has not connected yet cannot be reset, only destroyed.
    for (const socket of [connection.client, connection.server]) {
      if (socket.connecting) socket.destroy();
      else socket.resetAndDestroy();
    }
  }

  async #pump(connection: Connection, direction: Direction): Promise<void> {
    const [from, to] =
      direction === "to-server" ? [connection.client, connection.server] : [connection.server, connection.client];
    // Errors end the iteration below. It leaves the socket open at its end: the other direction may still write to it.
    from.on("error", () => undefined);
    try {
      for await (const chunk of from.iterator({ destroyOnReturn: false }) as AsyncIterable<Buffer>) {
        if (!(await this.#forward(connection, direction, chunk, to))) return;
      }
      await this.#open?.promise;
      to.end();
      if (to.readableEnded) this.#connections.delete(connection);
    } catch {
      this.#reset(connection);
    }
  }

  /** False when the connection was cut. */
  async #forward(connection: Connection, direction: Direction, chunk: Buffer, to: Socket): Promise<boolean> {
    const { signal } = connection.over;
    if (this.#delayMs > 0) await delay(this.#delayMs, undefined, { signal });
    await this.#open?.promise;
    signal.throwIfAborted();
    if (direction === "to-client" && connection.loseAnswer !== undefined) {
      this.#reset(connection);
      connection.loseAnswer();
      return false;
    }
    const verdict = this.#judge(direction, chunk);
    // Armed before the request leaves: the answer may come while the write is awaited.
    if (verdict.next === "lose-answer") connection.loseAnswer = verdict.fire;
    if (verdict.deliver.length > 0 && !to.write(verdict.deliver)) await once(to, "drain", { signal });
    if (verdict.next !== "cut") return true;
    this.#reset(connection);
    verdict.fire?.();
    return false;
  }

  #judge(direction: Direction, chunk: Buffer): Verdict {
    for (const judge of this.#judges) {
      const verdict = judge(direction, chunk);
      if (verdict !== undefined) return verdict;
    }
    return { deliver: chunk, next: "go-on" };
  }
}
