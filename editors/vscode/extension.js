// Starts the debug adapter of buildlocal, which does everything else.
const { execFile } = require("node:child_process");
const vscode = require("vscode");

const type = "buildlocal";

// The program of the settings, for the folder of a build.
function program(folder) {
  return vscode.workspace.getConfiguration(type, folder).get("path") || "buildlocal";
}

// Rejects with a message for the user if the program does not run, or has no debug adapter.
function check(command) {
  return new Promise((resolve, reject) => {
    execFile(command, ["dap", "--help"], (error) => {
      if (!error) {
        resolve();
      } else if (error.code === "ENOENT") {
        reject(new Error(`${command} was not found. Install buildlocal, or set buildlocal.path to its place.`));
      } else {
        reject(new Error(`${command} dap does not run. Update buildlocal, or change buildlocal.path.`));
      }
    });
  });
}

const configurations = {
  // Completes a configuration, also the empty one of a folder without launch.json.
  resolveDebugConfiguration(folder, config) {
    const file = vscode.window.activeTextEditor?.document;
    if (!config.type && !config.request) {
      if (file?.languageId !== "yaml") {
        return undefined;
      }
      Object.assign(config, { type, request: "launch", name: "Build", program: file.uri.fsPath });
    }
    if (config.request === "launch" && !config.cwd && folder) {
      config.cwd = folder.uri.fsPath;
    }
    return config;
  },

  // Offers each buildspec of a folder.
  async provideDebugConfigurations(folder) {
    const pattern = folder ? new vscode.RelativePattern(folder, "**/*buildspec*.{yml,yaml}") : "**/*buildspec*.{yml,yaml}";
    const files = await vscode.workspace.findFiles(pattern, "**/{node_modules,.buildlocal}/**", 20);
    return files.map((file) => {
      const name = vscode.workspace.asRelativePath(file, false);
      return { type, request: "launch", name: `Build ${name}`, program: name, cwd: "${workspaceFolder}" };
    });
  },
};

const adapters = {
  async createDebugAdapterDescriptor(session) {
    const command = program(session.workspaceFolder);
    await check(command);
    const cwd = session.configuration.cwd || session.workspaceFolder?.uri.fsPath;
    return new vscode.DebugAdapterExecutable(command, ["dap"], cwd ? { cwd } : undefined);
  },
};

function activate(context) {
  context.subscriptions.push(
    vscode.debug.registerDebugConfigurationProvider(type, configurations),
    vscode.debug.registerDebugConfigurationProvider(
      type, configurations, vscode.DebugConfigurationProviderTriggerKind.Dynamic),
    vscode.debug.registerDebugAdapterDescriptorFactory(type, adapters),
  );
}

module.exports = { activate };
