import { expect, test } from "vitest";
import { fileExists, readText } from "./source-tree.ts";

const [english, chinese] = ["README.md", "README.zh-CN.md"] as const;

function headingLevels(markdown: string): readonly number[] {
  const prose = markdown.replaceAll(/^```[\s\S]*?^```/gm, "");
  return [...prose.matchAll(/^(#{1,6}) /gm)].map(([, marks = ""]) => marks.length);
}

/** Language and code of each block; comments may be translated, and drawings are words. */
function codeBlocks(markdown: string): readonly string[] {
  return [...markdown.matchAll(/^```(\w*)\n([\s\S]*?)^```/gm)].map(([, language = "", body = ""]) => {
    const code = ["sh", "bash", "yaml", "json", "sql", "ts"].includes(language);
    return code ? `${language}\n${body.replaceAll(/(^|\s+)#.*$/gm, "").trim()}` : language;
  });
}

function readBoth(): readonly [string, string] {
  return [readText(english), readText(chinese)];
}

test("the README is there in both languages, or in none", () => {
  expect(fileExists(chinese)).toBe(fileExists(english));
});

test("both READMEs have the same headings and the same code", () => {
  const [one, other] = fileExists(english) ? readBoth() : ["", ""];
  expect(headingLevels(other)).toEqual(headingLevels(one));
  expect(codeBlocks(other)).toEqual(codeBlocks(one));
});
