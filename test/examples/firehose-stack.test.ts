/** The recipe for Firehose, synthesised: what it reads, what it writes, and that each change ends its line. */
import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { describe, it } from 'node:test';
import { App, Stack } from 'aws-cdk-lib';
import { Match, Template } from 'aws-cdk-lib/assertions';
import * as kinesis from 'aws-cdk-lib/aws-kinesis';
import { FirehoseStack } from '../../examples/firehose-stack.ts';

describe('the recipe for Firehose', () => {
  const app = new App();
  const pipeline = new Stack(app, 'pipeline');
  const template = Template.fromStack(
    new FirehoseStack(app, 'firehose', { stream: new kinesis.Stream(pipeline, 'Stream') }),
  );

  it('delivers the stream to S3, one change a line', () => {
    template.hasResourceProperties('AWS::KinesisFirehose::DeliveryStream', {
      DeliveryStreamType: 'KinesisStreamAsSource',
      KinesisStreamSourceConfiguration: { KinesisStreamARN: Match.anyValue(), RoleARN: Match.anyValue() },
      ExtendedS3DestinationConfiguration: {
        ProcessingConfiguration: {
          Enabled: true,
          Processors: [
            {
              Type: 'AppendDelimiterToRecord',
              Parameters: [{ ParameterName: 'Delimiter', ParameterValue: String.raw`\n` }],
            },
          ],
        },
      },
    });
  });

  it('may read the stream and write the bucket, before it is made', () => {
    const policies = JSON.stringify(template.findResources('AWS::IAM::Policy'));
    for (const action of ['kinesis:GetRecords', 'kinesis:GetShardIterator', 'kinesis:DescribeStream', 's3:PutObject'])
      assert.ok(policies.includes(action), action);
    const [delivery] = Object.values(template.findResources('AWS::KinesisFirehose::DeliveryStream'));
    const before = JSON.stringify((delivery as { DependsOn?: unknown } | undefined)?.DependsOn ?? []);
    for (const policy of Object.keys(template.findResources('AWS::IAM::Policy'))) assert.ok(before.includes(policy));
  });

  it('is named by the docs', () => {
    const page = readFileSync(new URL('../../docs/records.md', import.meta.url), 'utf8');
    assert.ok(page.includes('(../examples/firehose-stack.ts)'));
  });
});
