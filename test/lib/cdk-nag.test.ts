/** The templates against cdk-nag's packs, and each waiver with its reason. */
import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { Validations } from 'aws-cdk-lib';
import {
  AwsSolutionsChecks,
  HIPAASecurityChecks,
  NIST80053R4Checks,
  NIST80053R5Checks,
  PCIDSS321Checks,
} from 'cdk-nag';
import type { IConstruct } from 'constructs';
import { IAM, MINIMAL, synthesise } from './synth.ts';

const KEY = 'arn:aws:kms:eu-central-1:123456789012:key/0a1b2c3d-0000-4000-8000-000000000000';

/** The rules that constructs waive, with their reasons. */
function waived(root: IConstruct): [rule: string, reason: string, path: string][] {
  return root.node
    .findAll()
    .flatMap(({ node }) =>
      node.metadata
        .filter(({ type }) => type === Validations.ACKNOWLEDGED_RULES_METADATA_KEY)
        .flatMap(({ data }) =>
          Object.entries(data as Record<string, string>).map(([rule, reason]): [string, string, string] => [
            rule,
            reason,
            node.path,
          ]),
        ),
    );
}

const PACKS = [AwsSolutionsChecks, HIPAASecurityChecks, NIST80053R4Checks, NIST80053R5Checks, PCIDSS321Checks];

describe('cdk-nag', () => {
  for (const [title, settings, base] of [
    ['the defaults', { alarmEmail: 'oncall@example.com' }, MINIMAL],
    [
      'all that can be added',
      {
        alarmEmail: 'oncall@example.com',
        endpoints: 'kinesis,secretsmanager',
        streamKeyArn: KEY,
        databaseSecretKeyArn: KEY,
        tracing: true,
        reservedConcurrency: 3,
        skippedAlarm: true,
        logKeyArn: KEY,
        environmentKeyArn: KEY,
        slotLifecycleInVpc: true,
        separateAdmin: true,
      },
      MINIMAL,
    ],
    [
      'IAM authentication, an existing stream and topic',
      { existingStream: 'mine', alarmTopicArn: 'arn:aws:sns:eu-central-1:123456789012:oncall' },
      IAM,
    ],
    [
      'nothing but the function',
      { slotLifecycle: false, alarms: false, dashboard: false, existingStream: 'mine' },
      MINIMAL,
    ],
  ] as const) {
    it(`finds nothing in ${title}`, () => {
      const { app, stack } = synthesise(settings, base);
      const violations = PACKS.flatMap((Pack) => new Pack(app).validateScope(stack).violations);
      assert.deepEqual(
        violations.map(({ ruleName, violatingResources }) => [
          ruleName,
          violatingResources.map((resource) => ('constructPath' in resource ? resource.constructPath : resource)),
        ]),
        [],
      );
    });
  }

  it('is waived for single findings only, each with a reason', () => {
    const { stack } = synthesise({ alarmEmail: 'oncall@example.com', streamKeyArn: KEY });
    const nag = waived(stack).filter(([rule]) => /AwsSolutions|HIPAA/.test(rule));
    assert.deepEqual(
      nag
        .map(([rule, , path]) => `${rule.replace(/^annotation::/i, '').replace(/[0-9A-F]{8}/, 'X')} at ${path}`)
        .sort(),
      [
        'AwsSolutions-IAM5[Resource::*] at pg2kinesis/Publisher/Role',
        'AwsSolutions-IAM5[Resource::<PublisherFunctionX.Arn>:*] at pg2kinesis/Publisher',
        'AwsSolutions-KDS3 at pg2kinesis/Stream/Stream',
        'HIPAA.Security-CloudWatchLogGroupEncrypted at pg2kinesis/Publisher/Log',
        'HIPAA.Security-CloudWatchLogGroupEncrypted at pg2kinesis/Slot',
        'HIPAA.Security-IAMNoInlinePolicy at pg2kinesis/Publisher',
        'HIPAA.Security-IAMNoInlinePolicy at pg2kinesis/Slot',
        'HIPAA.Security-LambdaConcurrency at pg2kinesis/Publisher/Function',
        'HIPAA.Security-LambdaConcurrency at pg2kinesis/Slot/Provider',
        'HIPAA.Security-LambdaDLQ at pg2kinesis/Publisher/Function',
        'HIPAA.Security-LambdaDLQ at pg2kinesis/Slot/Provider',
        'HIPAA.Security-LambdaInsideVPC at pg2kinesis/Slot/Provider',
      ],
    );
    for (const [rule, reason] of nag) assert.match(reason, /^[A-Z].{30,}\.$/, rule);
  });
});
