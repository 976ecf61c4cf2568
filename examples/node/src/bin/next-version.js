#!/usr/bin/env node
// git log --format=%s v1.2.0..HEAD | next-version 1.2.0
import { text } from "node:stream/consumers";
import { nextVersion } from "../index.js";

const [current] = process.argv.slice(2);
const subjects = (await text(process.stdin)).split("\n");

try {
  console.log(nextVersion(current, subjects) ?? current);
} catch (error) {
  console.error(`next-version: ${error.message}`);
  process.exitCode = 2;
}
