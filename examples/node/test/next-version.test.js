import assert from "node:assert/strict";
import { spawnSync } from "node:child_process";
import { test } from "node:test";
import { fileURLToPath } from "node:url";

const command = fileURLToPath(new URL("../src/bin/next-version.js", import.meta.url));

function run(current, input) {
  return spawnSync(process.execPath, [command, current], { input, encoding: "utf8" });
}

test("the command prints the next version", () => {
  const { status, stdout } = run("1.2.3", "fix: a\nchore: b\n");
  assert.deepEqual({ status, stdout }, { status: 0, stdout: "1.2.4\n" });
});

test("the command refuses what is not a version", () => {
  const { status, stderr } = run("one", "");
  assert.deepEqual({ status, stderr }, { status: 2, stderr: "next-version: not a version: one\n" });
});
