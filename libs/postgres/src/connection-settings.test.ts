import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { inspect } from "node:util";
import { DataTraceError, Secret } from "@datatrace/core";
import { describe, expect, test } from "vitest";
import { parseConnectionUrl } from "./connection-settings.ts";
import { sessionConfig } from "./session.ts";

const parse = (url: string): ReturnType<typeof parseConnectionUrl> => parseConnectionUrl(new Secret(url));

const tls = (query: string): unknown => parse(`postgres://u@h/d?${query}`).tls;

describe("the url of a server", () => {
  test("is read with its defaults and its percent-encoded parts", () => {
    const { password, ...rest } = parse("postgres://us%40er:p%2F%3Aw@db.example:6000/shop%20one");
    expect(rest).toEqual({
      host: "db.example",
      port: 6000,
      database: "shop one",
      user: "us@er",
      tls: false,
      options: "",
    });
    expect(password?.reveal()).toBe("p/:w");
    expect(parse("postgresql://ann@/")).toMatchObject({
      host: "localhost",
      port: 5432,
      database: "ann",
      password: null,
    });
    expect(parse("postgres://u@%2Fvar%2Frun/db")).toMatchObject({ host: "/var/run", database: "db" });
    expect(parse("postgres://u@[::1]:5433/db")).toMatchObject({ host: "::1", port: 5433 });
  });

  test("says how far TLS goes, as libpq does", () => {
    const folder = mkdtempSync(join(tmpdir(), "datatrace-tls-"));
    const ca = join(folder, "ca.pem");
    writeFileSync(ca, "certificate");
    try {
      expect(tls("sslmode=disable")).toBe(false);
      expect(tls("")).toBe(false);
      expect(tls("sslmode=require")).toEqual({ rejectUnauthorized: false });
      expect(tls("sslmode=prefer")).toEqual({ rejectUnauthorized: false });
      expect(tls("sslmode=no-verify")).toEqual({ rejectUnauthorized: false });
      expect(tls("sslmode=verify-full")).toEqual({});
      expect(tls(`sslmode=verify-full&sslrootcert=${ca}`)).toEqual({ ca: "certificate" });
      expect(tls(`sslmode=verify-ca&sslrootcert=${ca}`)).toMatchObject({ ca: "certificate" });
      expect(tls(`sslmode=require&sslrootcert=${ca}`)).toMatchObject({ ca: "certificate" });
    } finally {
      rmSync(folder, { recursive: true });
    }
  });

  test.each([
    ["mysql://u:hidden7@h/d", "must begin with postgres://"],
    ["postgres://u:hidden7@h/d?sslmode=maybe", "sslmode must be one of"],
    ["postgres://u:hidden7@h/d?ssl=true", "the parameter ssl is not supported"],
    ["postgres://u:hidden7@h/d?sslmode=verify-ca", "sslmode=verify-ca needs sslrootcert"],
    ["postgres://u:hidden7@h/d?sslmode=verify-full&sslrootcert=/nowhere/ca.pem", "certificate file cannot be read"],
    ["postgres://u:hidden7@h1,h2/d", "cannot be parsed|only one host"],
    ["postgres://u:hidden7@h:99999/d", "cannot be parsed|port"],
  ])("I8: %s is refused without a word of it", (url, why) => {
    const error = (() => {
      try {
        return parse(url);
      } catch (reason) {
        return reason;
      }
    })();
    expect(error).toBeInstanceOf(DataTraceError);
    expect(error).toMatchObject({ code: "config.invalid", message: expect.stringMatching(why) as string });
    expect(inspect(error)).not.toContain("hidden7");
  });

  test("I8: neither the settings nor the driver's configuration print the password", () => {
    const settings = parse("postgres://u:hidden7@h/d");
    const config = sessionConfig(settings, { applicationName: "test" });
    expect(inspect([settings, config], { depth: 5, showHidden: true })).not.toContain("hidden7");
    expect(JSON.stringify([settings, config])).not.toContain("hidden7");
  });
});

test("a session pins what decides how values print, after the url's own options", () => {
  const server = parse("postgres://u@h/d?options=-c%20DateStyle%3DGerman");
  const { options } = sessionConfig(server, { applicationName: "a", settings: { search_path: "a b\\c" } });
  expect(options).toMatch(/^-c DateStyle=German .*-c DateStyle=ISO,YMD/);
  expect(options).toContain("-c TimeZone=UTC");
  expect(options).toContain(String.raw`-c search_path=a\ b\\c`);
});
