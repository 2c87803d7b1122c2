#!/usr/bin/env node
/**
 * The command line: what the function does, without Lambda, against the same variables. `pg2kinesis --help` lists it.
 * Only starts; the commands are in cli/program.ts.
 */
import { main } from './cli/program.ts';

// The notice is for whoever chooses the SDK's version: here it comes with the package.
process.env['AWS_SDK_JS_NODE_VERSION_SUPPORT_WARNING_DISABLED'] ??= 'true';
// `pg2kinesis --help | head` closes our output, and whoever reads the log may go away: neither ends a run.
for (const stream of [process.stdout, process.stderr]) {
  stream.on('error', (error: NodeJS.ErrnoException) => {
    if (error.code !== 'EPIPE') throw error;
  });
}

process.exitCode = await main(process.argv.slice(2), process);
