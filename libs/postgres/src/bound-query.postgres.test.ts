import { Secret } from "@datatrace/core";
import { availablePostgres, testPostgres } from "@datatrace/testkit";
import type { TestPostgres } from "@datatrace/testkit";
import { afterAll, beforeAll, expect, test } from "vitest";
import { BindMessage } from "./bind-message.ts";
import { parseConnectionUrl } from "./connection-settings.ts";
import { PipelinedSession } from "./pipelined-session.ts";
import type { BoundStatement } from "./pipelined-session.ts";

let server: TestPostgres;
beforeAll(async () => {
  server = await testPostgres((await availablePostgres()).at(-1) ?? 18);
}, 120_000);
afterAll(async () => {
  await server[Symbol.asyncDispose]();
});

async function openSession(): Promise<PipelinedSession> {
  const url = await server.createDatabase();
  return PipelinedSession.open(
    { server: parseConnectionUrl(new Secret(url)), answerTimeoutMs: 20_000, applicationName: "test" },
    new AbortController().signal,
  );
}

/** Inserts a number in binary and a text. */
function insert(id: number, note: string): BoundStatement {
  const message = new BindMessage("add_note", 2, 1);
  message.beginParameter();
  message.reserve(4);
  message.at = message.buffer.writeInt32BE(id, message.at);
  message.endParameter("binary");
  message.text(note);
  return { name: "add_note", text: "INSERT INTO notes VALUES ($1::int, $2::text)", bind: message.finish() };
}

test("bound statements and others answer in the order in which they were sent", async () => {
  await using session = await openSession();
  const long = "é\u0001😀".repeat(50_000);
  const answers = await Promise.all([
    session.send({ text: "CREATE TABLE notes (id int PRIMARY KEY, note text)" }),
    session.send(insert(1, "one")),
    session.send(insert(2, "")),
    session.send({ text: "SELECT count(*) FROM notes" }),
    session.send(insert(3, long)),
    session.send({ text: "SELECT note FROM notes ORDER BY id" }),
  ]);
  expect(answers.map(({ command, rowCount }) => [command, rowCount])).toEqual([
    ["CREATE", 0],
    ["INSERT", 1],
    ["INSERT", 1],
    ["SELECT", 1],
    ["INSERT", 1],
    ["SELECT", 3],
  ]);
  expect(answers[3]?.rows).toEqual([["2"]]);
  expect(answers[5]?.rows).toEqual([["one"], [""], [long]]);
});

test("a bound statement that could not be prepared is prepared again", async () => {
  await using session = await openSession();
  await expect(session.send(insert(1, "no table"))).rejects.toMatchObject({ code: "42P01" });
  await session.send({ text: "CREATE TABLE notes (id int PRIMARY KEY, note text)" });
  expect(await session.send(insert(1, "one"))).toMatchObject({ rowCount: 1 });
  await expect(session.send(insert(1, "again"))).rejects.toMatchObject({ code: "23505" });
  expect(await session.send(insert(2, "two"))).toMatchObject({ rowCount: 1 });
});

test("a bound statement on a lost connection is rejected", async () => {
  await using session = await openSession();
  await session.send({ text: "CREATE TABLE notes (id int PRIMARY KEY, note text)" });
  const lost = session.send({ text: "SELECT pg_terminate_backend(pg_backend_pid())" });
  const after = session.send(insert(1, "one"));
  await expect(lost).rejects.toMatchObject({ code: "57P01" });
  await expect(after).rejects.toBeInstanceOf(Error);
  expect(session.usable).toBe(false);
  await expect(session.send(insert(2, "two"))).rejects.toBeInstanceOf(Error);
});

test("a message that lacks a parameter is not sent", () => {
  const message = new BindMessage("s", 2, 10);
  message.text("one");
  expect(() => message.finish()).toThrow("all its parameters");
});
