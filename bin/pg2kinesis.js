#!/usr/bin/env node
// The command `pg2kinesis`: in a checkout the sources as they are, in an installed package what was built of them.
import { existsSync } from 'node:fs';
import process from 'node:process';
import { URL } from 'node:url';

/** The first that runs the sources: they are TypeScript, with `using`. */
const SOURCES_RUN_ON = 24;

const source = new URL('./pg2kinesis.ts', import.meta.url);
if (!existsSync(source)) {
  await import(new URL('../dist/bin/pg2kinesis.js', import.meta.url).href);
} else if (Number.parseInt(process.versions.node) >= SOURCES_RUN_ON) {
  await import(source.href);
} else {
  process.stderr.write(
    `Error: In a clone of the repository pg2kinesis runs on Node.js ${SOURCES_RUN_ON}, and this is ${process.versions.node}. Nothing was done. "npm install" puts one into the clone, which "npx pg2kinesis" then takes.\n`,
  );
  process.exitCode = 1;
}
