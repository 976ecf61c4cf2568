import semver from "semver";

const order = ["patch", "minor", "major"];

// What a commit asks for, by its subject as in conventionalcommits.org; null
// where it is not worth a release.
export function releaseOf(subject) {
  const [, type, breaking] = /^(\w+)(?:\([^)]*\))?(!)?:/.exec(subject) ?? [];
  if (breaking) return "major";
  if (type === "feat") return "minor";
  if (type === "fix" || type === "perf") return "patch";
  return null;
}

// The version after current, or null if no commit is worth a release. Before
// 1.0.0 nothing is promised, so a breaking change is a minor one there.
export function nextVersion(current, subjects) {
  if (!semver.valid(current)) throw new TypeError(`not a version: ${current}`);
  const level = Math.max(...subjects.map((subject) => order.indexOf(releaseOf(subject))), -1);
  if (level < 0) return null;
  const most = semver.major(current) === 0 ? 1 : 2;
  return semver.inc(current, order[Math.min(level, most)]);
}
