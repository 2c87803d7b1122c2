/**
 * An HTTP endpoint that speaks Lambda's Invoke and CloudFormation's DescribeStacks, in place of AWS: what the function does
 * is the test's, the real handler or anything else. Knows no command line.
 */
import { createServer, type IncomingMessage, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';

/** What an invocation comes to. `refused`: by Lambda, with its status and error. `page`: something else answers, in HTML. `lost`: the connection breaks. */
export type Outcome =
  | { readonly kind: 'answer'; readonly payload: unknown }
  | { readonly kind: 'failure'; readonly type: string; readonly message: string }
  | { readonly kind: 'refused'; readonly status: number; readonly type: string }
  | { readonly kind: 'page'; readonly status: number }
  | { readonly kind: 'lost' };

/** An invocation as it came. */
export interface Invoked {
  /** As the path has it: a name, with an alias or not, or an ARN. */
  readonly name: string;
  readonly payload: Readonly<Record<string, unknown>>;
  /** For which region the request was signed. */
  readonly region: string;
}

/** A running endpoint. */
export interface LambdaEndpoint {
  readonly endpoint: string;
  /** Every invocation so far. */
  readonly seen: Invoked[];
  /** What the SDK needs in the environment. */
  readonly env: Readonly<Record<string, string>>;
  stop(): Promise<void>;
}

/**
 * Starts one, on a free port of the loopback interface.
 *
 * @param invoke - the function
 * @param stacks - outputs by the stack's name @default there is no stack
 */
export async function startLambdaEndpoint(
  invoke: (invoked: Invoked) => Outcome | Promise<Outcome>,
  stacks: Readonly<Record<string, Readonly<Record<string, string>>>> = {},
): Promise<LambdaEndpoint> {
  const seen: Invoked[] = [];
  const respond = async (incoming: IncomingMessage, outgoing: ServerResponse, body: string): Promise<void> => {
    const [, path] = /^\/2015-03-31\/functions\/(.*)\/invocations/.exec(incoming.url ?? '') ?? [];
    if (path === undefined) return describe(new URLSearchParams(body).get('StackName') ?? '', outgoing);
    const [, region = ''] =
      /Credential=[^/]+\/[^/]+\/([^/]+)\/lambda\//.exec(incoming.headers.authorization ?? '') ?? [];
    const name = decodeURIComponent(path);
    const invoked = { name, payload: JSON.parse(body) as Invoked['payload'], region };
    seen.push(invoked);
    const outcome = await invoke(invoked);
    switch (outcome.kind) {
      case 'answer':
        return void outgoing.writeHead(200).end(JSON.stringify(outcome.payload));
      case 'failure':
        return void outgoing
          .writeHead(200, { 'x-amz-function-error': 'Unhandled' })
          .end(JSON.stringify({ errorType: outcome.type, errorMessage: outcome.message, trace: ['at somewhere'] }));
      case 'refused':
        return void outgoing
          .writeHead(outcome.status, { 'x-amzn-errortype': outcome.type })
          .end(JSON.stringify({ Message: 'made by the test' }));
      case 'page':
        return void outgoing.writeHead(outcome.status, { 'content-type': 'text/html' }).end('<html>Not here.</html>');
      case 'lost':
        return void incoming.socket.destroy();
    }
  };
  const describe = (name: string, outgoing: ServerResponse): void => {
    const outputs = stacks[name];
    if (outputs === undefined) {
      outgoing
        .writeHead(400)
        .end(
          `<ErrorResponse><Error><Type>Sender</Type><Code>ValidationError</Code><Message>Stack with id ${name} does not exist</Message></Error></ErrorResponse>`,
        );
      return;
    }
    const members = Object.entries(outputs).map(
      ([key, value]) => `<member><OutputKey>${key}</OutputKey><OutputValue>${value}</OutputValue></member>`,
    );
    outgoing
      .writeHead(200)
      .end(
        `<DescribeStacksResponse><DescribeStacksResult><Stacks><member><StackName>${name}</StackName><StackStatus>CREATE_COMPLETE</StackStatus><CreationTime>2026-01-01T00:00:00Z</CreationTime><Outputs>${members.join('')}</Outputs></member></Stacks></DescribeStacksResult></DescribeStacksResponse>`,
      );
  };
  const server = createServer((incoming, outgoing) => {
    let body = '';
    incoming.setEncoding('utf8').on('data', (text: string) => (body += text));
    incoming.once('end', () => void respond(incoming, outgoing, body));
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  const endpoint = `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
  return {
    endpoint,
    seen,
    env: {
      AWS_ENDPOINT_URL_LAMBDA: endpoint,
      AWS_ENDPOINT_URL_CLOUDFORMATION: endpoint,
      AWS_REGION: 'eu-west-1',
      AWS_ACCESS_KEY_ID: 'x',
      AWS_SECRET_ACCESS_KEY: 'y',
      AWS_EC2_METADATA_DISABLED: 'true',
      AWS_CONFIG_FILE: '/dev/null',
      AWS_SHARED_CREDENTIALS_FILE: '/dev/null',
    },
    stop: () =>
      new Promise<void>((resolve) => {
        server.close(() => resolve());
        server.closeAllConnections();
      }),
  };
}
