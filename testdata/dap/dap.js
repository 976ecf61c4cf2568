// Debugs a build with Microsoft's test client for debug adapters, over stdio. Arguments: the program, the
// directory of a source, the directory of the modules.
const assert = require("node:assert");
const path = require("node:path");

const [program, dir, modules] = process.argv.slice(2);
const { DebugClient } = require(path.join(modules, "@vscode/debugadapter-testsupport"));

const spec = path.join(dir, "buildspec.yml");
const configuration = { cwd: dir, program: "buildspec.yml", engine: "host" };

async function session(work) {
  // The client starts `node FILE`; without a runtime, `FILE ARGUMENTS`.
  const client = new DebugClient(program, "dap", "buildlocal", { cwd: dir }, true);
  client.defaultTimeout = 60000;
  await client.start();
  try {
    await work(client);
  } finally {
    await client.stop(); // which disconnects
  }
}

async function stepping(client) {
  await client.hitBreakpoint(configuration, { path: spec, line: 6 }, { path: spec, line: 6 });
  const { body } = await client.stackTraceRequest({ threadId: 1 });
  assert.ok(body.stackFrames[0].name.startsWith("build:2"));
  await client.setExceptionBreakpointsRequest({ filters: ["failure"] });
  const next = client.assertStoppedLocation("step", { path: spec, line: 7 });
  await client.nextRequest({ threadId: 1 });
  await next;
  await Promise.all([
    client.assertOutput("stdout", "in the console"),
    client.evaluateRequest({ expression: "echo in the console; W=5", context: "repl", frameId: 1 }),
  ]);
  const hover = await client.evaluateRequest({ expression: "$W", context: "hover", frameId: 1 });
  assert.strictEqual(hover.body.result, "5");
  const failed = client.assertStoppedLocation("exception", { path: spec, line: 7 });
  await client.continueRequest({ threadId: 1 });
  await failed;
  const ended = client.waitForEvent("exited");
  const terminated = client.waitForEvent("terminated");
  await client.customRequest("evaluate", { expression: ":ignore", context: "repl" });
  assert.strictEqual((await ended).body.exitCode, 0);
  await terminated;
}

async function mistakes(client) {
  await client.initializeRequest();
  await assert.rejects(client.launchRequest({ ...configuration, imag: "x", timeout: "soon" }), /imag[^]*soon/);
}

(async () => {
  await session(stepping);
  await session(mistakes);
  console.log("ok");
})().catch((error) => {
  console.error(error);
  process.exit(1);
});
