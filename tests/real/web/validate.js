// Runs the public validators over what tests/real/formats has made, and fails on the first thing they refuse.
"use strict";
const { execFileSync } = require("node:child_process");
const fs = require("node:fs");
const path = require("node:path");

const [multitool, rdformat, work] = process.argv.slice(2);
const fail = (text) => {
  console.error(`FAILED: ${text}`);
  process.exit(1);
};

// Its exit code is 0 whatever it finds: the verdicts are in a log of its own.
for (const file of fs.readdirSync(work).filter((name) => name.endsWith(".sarif"))) {
  const log = path.join(work, `${file}.verdict`);
  execFileSync(multitool, ["validate", path.join(work, file), "-o", log, "--log", "ForceOverwrite", "--level", "Error;Warning", "--rule-kind", "Sarif;Ghas"], { stdio: "ignore" });
  const verdict = JSON.parse(fs.readFileSync(log, "utf8").replace(/^\ufeff/, ""));
  // There is no page about the tool as such that a log could name.
  const bad = verdict.runs[0].results.filter((result) => result.ruleId !== "SARIF2005" && result.level !== "note");
  if (bad.length > 0) fail(`${file}: ${bad[0].ruleId}: ${JSON.stringify(bad[0].message)}`);
  const read = verdict.runs[0].invocations?.[0];
  if (read && (read.toolExecutionNotifications || []).some((note) => note.level === "error")) fail(`${file} could not be validated`);
  console.log(`real: ${file}: valid SARIF`);
}

const validator = path.join(rdformat, JSON.parse(fs.readFileSync(path.join(rdformat, "package.json"), "utf8")).bin["rdformat-validator"]);
const one = (text, name) => {
  const file = path.join(work, "one.json");
  fs.writeFileSync(file, text);
  try {
    execFileSync(process.execPath, [validator, file], { stdio: "pipe" });
  } catch (error) {
    fail(`${name}: ${error.stdout}${error.stderr}`);
  }
};
for (const file of fs.readdirSync(work).filter((name) => name.endsWith(".rdjson"))) {
  one(fs.readFileSync(path.join(work, file), "utf8"), file);
  console.log(`real: ${file}: valid rdjson`);
}
const lines = fs.readFileSync(path.join(work, "repo-diff.rdjsonl"), "utf8").trim().split("\n");
for (const [at, line] of lines.slice(0, 5).entries()) one(line, `line ${at + 1} of repo-diff.rdjsonl`);
console.log("real: rdjsonl: valid lines");
