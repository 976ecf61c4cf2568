// Calls the extension of VS Code with a module vscode that records what it registers. Argument: the
// directory of the extension, and a program.
const assert = require("node:assert");
const Module = require("node:module");

const [extension, program] = process.argv.slice(2);
const registered = { providers: [], factory: undefined };
let configured = program;
const vscode = {
  workspace: {
    getConfiguration: () => ({ get: () => configured }),
    asRelativePath: (file) => file.name,
    findFiles: async () => [{ name: "ci/buildspec.yml" }],
  },
  window: { activeTextEditor: { document: { languageId: "yaml", uri: { fsPath: "/source/buildspec.yml" } } } },
  debug: {
    registerDebugConfigurationProvider: (type, provider) => registered.providers.push({ type, provider }),
    registerDebugAdapterDescriptorFactory: (type, factory) => (registered.factory = factory),
  },
  DebugConfigurationProviderTriggerKind: { Dynamic: 2 },
  DebugAdapterExecutable: class {
    constructor(command, args, options) {
      Object.assign(this, { command, args, options });
    }
  },
  RelativePattern: class {},
};
const load = Module._load;
Module._load = (name, ...rest) => (name === "vscode" ? vscode : load(name, ...rest));

(async () => {
  const context = { subscriptions: [] };
  require(extension + "/extension.js").activate(context);
  assert.strictEqual(registered.providers.length, 2);
  const { provider } = registered.providers[0];
  const folder = { uri: { fsPath: "/source" } };
  const empty = provider.resolveDebugConfiguration(folder, {});
  assert.deepStrictEqual(empty, {
    type: "buildlocal", request: "launch", name: "Build", program: "/source/buildspec.yml", cwd: "/source",
  });
  assert.strictEqual((await provider.provideDebugConfigurations(folder))[0].program, "ci/buildspec.yml");
  const session = { workspaceFolder: folder, configuration: { cwd: "/" } };
  const adapter = await registered.factory.createDebugAdapterDescriptor(session);
  assert.deepStrictEqual({ ...adapter }, { command: program, args: ["dap"], options: { cwd: "/" } });
  configured = "/no/such/program";
  await assert.rejects(registered.factory.createDebugAdapterDescriptor(session), /not found/);
  console.log("ok");
})().catch((error) => {
  console.error(error);
  process.exit(1);
});
