/**
 * The CDK app: the context's settings in, a stack for each pipeline out. Run by the CDK's command line, as cdk.json says.
 * What the settings are is in lib/stack-settings-table.ts; what is deployed, in lib/pg2kinesis-stack.ts.
 */
import { readFileSync } from 'node:fs';
import { homedir } from 'node:os';
import { join } from 'node:path';
import { App } from 'aws-cdk-lib';
import { Pg2KinesisStack } from '../lib/pg2kinesis-stack.ts';
import { EXAMPLE, readSettings } from '../lib/settings.ts';
import { SynthesisError } from '../lib/synthesis-error.ts';
import { bundleFunction } from '../scripts/bundle.ts';

/** The names in the context of the user's own ~/.cdk.json, which the command line hands to every app. */
function namesOfUser(): string[] {
  try {
    const { context } = JSON.parse(readFileSync(join(homedir(), '.cdk.json'), 'utf8')) as { context?: object };
    return Object.keys(context ?? {});
  } catch {
    // Usually there is none. One that is not JSON is refused by the CDK's command line.
    return [];
  }
}

// Not by itself at the end: settings that are wrong must leave nothing behind that looks like an assembly.
const app = new App({ autoSynth: false });
// Where nobody is signed in, the command line says us-east-1, which is a guess.
const ownRegion = process.env['CDK_DEFAULT_ACCOUNT'] === undefined ? undefined : process.env['CDK_DEFAULT_REGION'];
try {
  const pipelines = readSettings(app.node.getAllContext() as Record<string, unknown>, {
    account: process.env['CDK_DEFAULT_ACCOUNT'],
    region: ownRegion,
    foreign: namesOfUser(),
  });
  if (pipelines.length === 0) {
    console.error(
      `There are no settings, so there is nothing to deploy or to destroy: give them as they were for deploying. (To bootstrap without them: npx cdk bootstrap --app '' aws://<account>/<region>.) ${EXAMPLE}`,
    );
  } else {
    // Here, so that what is deployed is never older than the sources; it takes less than a second.
    await bundleFunction();
    for (const settings of pipelines) {
      const account = settings.account ?? process.env['CDK_DEFAULT_ACCOUNT'];
      const region = settings.region ?? ownRegion;
      new Pg2KinesisStack(app, settings.name, {
        settings,
        env: { ...(account === undefined ? {} : { account }), ...(region === undefined ? {} : { region }) },
      });
    }
  }
  app.synth();
} catch (error) {
  if (!(error instanceof SynthesisError)) throw error;
  // The message is meant for the reader; where in the code it was thrown is not.
  console.error(error.message);
  process.exitCode = 1;
}
