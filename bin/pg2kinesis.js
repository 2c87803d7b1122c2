#!/usr/bin/env node
// The command `pg2kinesis`: in a checkout the sources as they are, in an installed package what was built of them.
import { existsSync } from 'node:fs';
import { URL } from 'node:url';

const source = new URL('./pg2kinesis.ts', import.meta.url);
await import(existsSync(source) ? source.href : new URL('../dist/bin/pg2kinesis.js', import.meta.url).href);
