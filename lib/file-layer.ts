/** A Lambda layer of one file that is written at synthesis. Knows nothing of what is in it. */
import { createHash } from 'node:crypto';
import { mkdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { Stage } from 'aws-cdk-lib';
import * as lambda from 'aws-cdk-lib/aws-lambda';
import type { Construct } from 'constructs';

/**
 * @param scope - where the layer is placed
 * @param id - its id in that scope; a changed one replaces what was deployed
 * @param file - the file's name and text, and what it is for
 * @returns the layer; the function finds the file in /opt
 */
export function fileLayer(
  scope: Construct,
  id: string,
  file: { readonly name: string; readonly text: string; readonly description: string },
): lambda.LayerVersion {
  // In the assembly's folder, so that nothing is left elsewhere; an asset is a folder or a zip, never a file.
  const hash = createHash('sha256').update(file.text).digest('hex').slice(0, 16);
  const folder = join(Stage.of(scope)?.outdir ?? '.', `pg2kinesis.${hash}`);
  mkdirSync(folder, { recursive: true });
  writeFileSync(join(folder, file.name), file.text);
  return new lambda.LayerVersion(scope, id, {
    description: `pg2kinesis: ${file.description}`,
    code: lambda.Code.fromAsset(folder),
  });
}
