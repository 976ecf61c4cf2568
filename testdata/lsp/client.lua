-- Opens buildspec.yml in Neovim with buildlocal as its language server, asks for
-- all the server can do, makes the fixes, and writes what came to answers.txt.
local out = io.open("answers.txt", "w")
local function say(...) out:write(string.format(...), "\n") end

vim.cmd("edit buildspec.yml")
local buf = vim.api.nvim_get_current_buf()
local client = vim.lsp.start_client({ name = "buildlocal", cmd = { "buildlocal", "lsp" }, root_dir = vim.fn.getcwd() })
vim.lsp.buf_attach_client(buf, client)

local function diagnostics(title, done)
  if not vim.wait(10000, function() return done(vim.diagnostic.get(buf)) end, 20) then
    say("%s: they never came", title)
  end
  say("%s", title)
  local all = vim.diagnostic.get(buf)
  table.sort(all, function(a, b) return a.lnum < b.lnum or a.lnum == b.lnum and a.col < b.col end)
  for _, d in ipairs(all) do
    say("  %d:%d-%d %d %s %s", d.lnum + 1, d.col, d.end_col, d.severity, d.user_data.lsp.code, d.message)
  end
end

local function ask(method, line, character, extra)
  local params = { textDocument = vim.lsp.util.make_text_document_params(buf), position = { line = line - 1, character = character } }
  for k, v in pairs(extra or {}) do params[k] = v end
  local answers = vim.lsp.buf_request_sync(buf, method, params, 10000)
  return answers and answers[client] and answers[client].result
end

local function labels(line, character)
  local all = {}
  for _, item in ipairs(ask("textDocument/completion", line, character) or {}) do
    table.insert(all, item.label)
  end
  return table.concat(all, " ")
end

local function insert(line, text) vim.api.nvim_buf_set_lines(buf, line - 1, line - 1, false, { text }) end

diagnostics("opened", function(all) return #all > 0 end)

say("hover: %s", ask("textDocument/hover", 4, 5).contents.value)
say("hover of nothing: %s", tostring(ask("textDocument/hover", 9, 14)))

local range = { start = { line = 0, character = 0 }, ["end"] = { line = 100, character = 0 } }
for _, action in ipairs(ask("textDocument/codeAction", 1, 0, { range = range, context = { diagnostics = {} } })) do
  say("action: %s (preferred: %s)", action.title, tostring(action.isPreferred))
  vim.lsp.util.apply_workspace_edit(action.edit, "utf-16")
end
diagnostics("fixed", function(all) return #all == 1 end)
say("text:\n%s", table.concat(vim.api.nvim_buf_get_lines(buf, 0, -1, false), "\n"))

insert(2, "")
say("keys at the top: %s", labels(2, 0))
vim.api.nvim_buf_set_lines(buf, 1, 2, false, {})
insert(5, "    ")
say("keys of a phase: %s", labels(5, 4))
vim.api.nvim_buf_set_lines(buf, 4, 5, false, { "    runtime-versions:", "      " })
say("runtimes: %s", labels(6, 6))
vim.api.nvim_buf_set_lines(buf, 5, 6, false, { "      nodejs: " })
say("versions: %s", labels(6, 14))
vim.api.nvim_buf_set_lines(buf, 0, -1, false, { "version: 0.2", "reports:", "  unit:", "    file-format: ", "phases:", "  ", "" })
say("formats: %s", labels(4, 17))
say("phases: %s", labels(6, 2))

vim.lsp.stop_client(client)
vim.wait(5000, function() return vim.lsp.client_is_stopped(client) end, 20)
say("stopped: %s", tostring(vim.lsp.client_is_stopped(client)))
out:close()
vim.cmd("qall!")
