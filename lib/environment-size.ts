/**
 * Lambda allows 4 KB of environment variables. Long lists are put into a file in a layer instead. If the rest is still too long,
 * synthesis fails and names the prop. Knows of the variables only how long they are.
 */
import { Stack, Tokenization } from 'aws-cdk-lib';
import type * as lambda from 'aws-cdk-lib/aws-lambda';
import type { Construct } from 'constructs';
import { fileLayer } from './file-layer.ts';

/** @see https://docs.aws.amazon.com/lambda/latest/dg/gettingstarted-limits.html */
const MAX_ENVIRONMENT_BYTES = 4096;
/** For what is added later: the slot's resource, and a variable or two of the user's. */
const SPARE_BYTES = 300;
/** What a token may become: a stream's ARN, an endpoint's name. */
const TOKEN_BYTES = 150;
/** The lists that the function reads from a file as well. */
const LISTS = ['TABLE_INCLUDE_LIST', 'TABLE_EXCLUDE_LIST', 'COLUMN_EXCLUDE_LIST', 'MESSAGES'];
const FILE = 'pg2kinesis-settings.json';
/** The props of variables that are not called like them. */
const PROPS: Readonly<Record<string, string>> = {
  POWERTOOLS_SERVICE_NAME: 'pipelineName',
  PGHOST: 'databaseHost',
  PGDATABASE: 'databaseName',
  PGUSER: 'databaseUser',
  PGSSLROOTCERT: 'databaseSslRootCert',
};

/**
 * Moves the long lists out of an environment that is too large.
 *
 * @param scope - where the layer is placed
 * @param environment - all variables
 * @returns the environment as it was, or without its lists, and the layer that has them
 */
export function fitEnvironment(
  scope: Construct,
  environment: Readonly<Record<string, string>>,
): { readonly environment: Record<string, string>; readonly layers: readonly lambda.ILayerVersion[] } {
  const size = Object.entries(environment).reduce((sum, [name, value]) => sum + bytesOf(name) + estimate(value), 0);
  const isList = ([name, value]: [string, string]): boolean =>
    LISTS.includes(name) && Tokenization.reverseString(value).tokens.length === 0;
  const lists = Object.fromEntries(Object.entries(environment).filter(isList));
  if (size + SPARE_BYTES <= MAX_ENVIRONMENT_BYTES || Object.keys(lists).length === 0)
    return { environment: { ...environment }, layers: [] };
  const rest = Object.fromEntries(Object.entries(environment).filter((entry) => !isList(entry)));
  const layer = fileLayer(scope, 'Settings', {
    name: FILE,
    text: JSON.stringify(lists, undefined, 1),
    description: 'lists that are too long for the environment of the function',
  });
  return { environment: { ...rest, SETTINGS_FILE: `/opt/${FILE}` }, layers: [layer] };
}

/**
 * Makes synthesis fail if the environment is still too large when everything was added to it.
 *
 * @param scope - whose props the message names
 * @param resource - the function
 */
export function refuseLargeEnvironment(scope: Construct, resource: lambda.CfnFunction): void {
  scope.node.addValidation({
    validate: () => {
      const { variables = {} } = (Stack.of(scope).resolve(resource.environment) ?? {}) as {
        variables?: Record<string, unknown>;
      };
      const sizes = Object.entries(variables).map(([name, value]) => [name, bytesOf(name) + measure(value)] as const);
      const size = sizes.reduce((sum, [, bytes]) => sum + bytes, 0);
      if (size <= MAX_ENVIRONMENT_BYTES) return [];
      const longest = sizes
        .toSorted(([, a], [, b]) => b - a)
        .slice(0, 3)
        .map(([name, bytes]) => `${PROPS[name] ?? camelCase(name)} (${name}) with ${bytes}`);
      return [
        `The environment of the function has about ${size} bytes, and Lambda takes ${MAX_ENVIRONMENT_BYTES}. The longest are ${longest.join(', ')}. Shorten them.`,
      ];
    },
  });
}

/** Quotes, colon and comma included: Lambda measures the variables as JSON. */
function bytesOf(name: string): number {
  return Buffer.byteLength(name) + 6;
}

/** The bytes of a text that may hold tokens. */
function estimate(value: string): number {
  return jsonBytes(value) + Tokenization.reverseString(value).tokens.length * TOKEN_BYTES;
}

function jsonBytes(text: string): number {
  return Buffer.byteLength(JSON.stringify(text)) - 2;
}

/** The bytes of what the template has: a text, texts and references that are joined, or a reference. */
function measure(value: unknown): number {
  if (typeof value === 'string') return jsonBytes(value);
  const join = (value as { 'Fn::Join'?: [string, unknown[]] } | undefined)?.['Fn::Join'];
  return join === undefined ? TOKEN_BYTES : join[1].reduce((sum: number, part) => sum + measure(part), 0);
}

function camelCase(name: string): string {
  return name.toLowerCase().replace(/_(.)/g, (_, letter: string) => letter.toUpperCase());
}
