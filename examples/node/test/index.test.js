import assert from "node:assert/strict";
import { test } from "node:test";
import { nextVersion, releaseOf } from "../src/index.js";

test("a feature is a minor release", () => {
  assert.equal(nextVersion("1.2.3", ["fix: a", "feat(api): b", "docs: c"]), "1.3.0");
});

test("a breaking change is a major release", () => {
  assert.equal(nextVersion("1.2.3", ["feat!: a", "fix: b"]), "2.0.0");
});

test("before 1.0.0 a breaking change is a minor release", () => {
  assert.equal(nextVersion("0.4.1", ["refactor(core)!: a"]), "0.5.0");
});

test("nothing worth a release is no release", () => {
  assert.equal(nextVersion("1.2.3", ["docs: a", "Merge branch 'main'"]), null);
  assert.equal(nextVersion("1.2.3", []), null);
});

test("a subject without a type asks for nothing", () => {
  assert.equal(releaseOf("fixed the tests"), null);
});

test("what is not a version is refused", () => {
  assert.throws(() => nextVersion("v1", []), /not a version: v1/);
});
