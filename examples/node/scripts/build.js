// Writes dist/: the sources, what build this is, and a checksum of every file.
import { createHash } from "node:crypto";
import { cp, readdir, readFile, rm, writeFile } from "node:fs/promises";
import { join, relative } from "node:path";

const { name, version } = JSON.parse(await readFile("package.json", "utf8"));

await rm("dist", { recursive: true, force: true });
await cp("src", "dist", { recursive: true });
await writeFile(
  "dist/build.json",
  JSON.stringify(
    {
      name,
      version,
      build: process.env.CODEBUILD_BUILD_ID ?? null,
      commit: process.env.CODEBUILD_RESOLVED_SOURCE_VERSION ?? null,
    },
    null,
    2,
  ) + "\n",
);

const entries = await readdir("dist", { recursive: true, withFileTypes: true });
const files = entries
  .filter((entry) => entry.isFile())
  .map((entry) => relative("dist", join(entry.parentPath ?? entry.path, entry.name)))
  .sort();
const sums = await Promise.all(files.map(async (file) => `${await sha256(join("dist", file))}  ${file}\n`));
await writeFile("dist/SHA256SUMS", sums.join(""));
console.log(`dist: ${files.length + 1} files`);

async function sha256(file) {
  return createHash("sha256").update(await readFile(file)).digest("hex");
}
