/** Payloads: what is a run, what each action takes, what is refused and what the refusal lists. */
import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { PipelineError } from '../../../lambda/errors.ts';
import { readEvent } from '../../../lambda/settings/event.ts';
import { ACTION_NAMES } from '../../../lambda/settings/payloads.ts';

const SCHEDULED = { kind: 'run', maxSeconds: 50, maxBatches: undefined, resume: undefined };
const RESUME = {
  commitLsn: '0/16B3748',
  xid: 754,
  commitTimeMicros: '1767323045678901',
  ordinal: 3,
  rows: 2,
  evidence: 'x',
};

function refusal(payload: unknown): string {
  try {
    readEvent(payload);
  } catch (error) {
    assert.ok(error instanceof PipelineError);
    assert.equal(error.code, 'EVENT_INVALID');
    return error.message;
  }
  assert.fail('nothing was refused');
}

describe('readEvent', () => {
  const read: [what: string, payload: unknown, action: unknown][] = [
    ['nothing as a run', undefined, SCHEDULED],
    ['null as a run', null, SCHEDULED],
    ['an empty object as a run', {}, SCHEDULED],
    [
      'an EventBridge rule as a run',
      { version: '0', id: 'x', 'detail-type': 'Scheduled Event', source: 'aws.events', detail: {} },
      SCHEDULED,
    ],
    ['the Scheduler as a run', { source: 'aws.scheduler', detail: '{}' }, SCHEDULED],
    ['a run', { action: 'run' }, SCHEDULED],
    [
      'a bounded run',
      { action: 'run', maxSeconds: 3.5, maxBatches: 2, resume: RESUME },
      { kind: 'run', maxSeconds: 3.5, maxBatches: 2, resume: RESUME },
    ],
    [
      'a drain',
      { action: 'drain' },
      { kind: 'drain', maxSeconds: undefined, maxBatches: undefined, resume: undefined },
    ],
    [
      'a bounded drain',
      { action: 'drain', maxSeconds: 900, resume: RESUME },
      { kind: 'drain', maxSeconds: 900, maxBatches: undefined, resume: RESUME },
    ],
    ['status', { action: 'status' }, { kind: 'status' }],
    ['check', { action: 'check' }, { kind: 'check' }],
    ['create-slot', { action: 'create-slot' }, { kind: 'create-slot', onStandby: false }],
    ['create-slot on a standby', { action: 'create-slot', onStandby: true }, { kind: 'create-slot', onStandby: true }],
    ['copy-slot', { action: 'copy-slot', from: 'old' }, { kind: 'copy-slot', from: 'old' }],
    ['drop-slot', { action: 'drop-slot' }, { kind: 'drop-slot', discardUnread: false }],
    [
      'a drop-slot of what is unread',
      { action: 'drop-slot', discardUnread: true },
      { kind: 'drop-slot', discardUnread: true },
    ],
    ['refresh-keys', { action: 'refresh-keys' }, { kind: 'refresh-keys' }],
    [
      'a snapshot',
      { action: 'snapshot', tables: ['public.t'], maxSeconds: 60 },
      { kind: 'snapshot', tables: ['public.t'], maxSeconds: 60 },
    ],
    ['what is left of one', { action: 'snapshot' }, { kind: 'snapshot', tables: undefined, maxSeconds: undefined }],
    ['the end of one', { action: 'snapshot-stop' }, { kind: 'snapshot-stop', tables: undefined }],
    [
      'skip-transaction',
      { action: 'skip-transaction', commitLsn: '1/A' },
      { kind: 'skip-transaction', commitLsn: 0x1_0000_000an },
    ],
    [
      'CloudFormation',
      {
        RequestType: 'Update',
        ServiceToken: 'arn:aws:lambda:us-east-1:123456789012:function:framework',
        RequestId: 'r1',
        LogicalResourceId: 'Slot',
        ResourceType: 'Custom::Pg2KinesisSlot',
        PhysicalResourceId: 'created:h/d/s',
        ResourceProperties: { slotName: 't' },
        OldResourceProperties: { slotName: 's' },
        action: 'x',
      },
      {
        kind: 'lifecycle',
        requestType: 'Update',
        requestId: 'r1',
        logicalResourceId: 'Slot',
        resourceType: 'Custom::Pg2KinesisSlot',
        physicalResourceId: 'created:h/d/s',
        properties: { slotName: 't' },
        oldProperties: { slotName: 's' },
      },
    ],
    [
      'CloudFormation’s Create',
      { RequestType: 'Create' },
      {
        kind: 'lifecycle',
        requestType: 'Create',
        requestId: undefined,
        logicalResourceId: undefined,
        resourceType: undefined,
        physicalResourceId: undefined,
        properties: {},
        oldProperties: {},
      },
    ],
  ];
  for (const [what, payload, action] of read) it(`reads ${what}`, () => assert.deepEqual(readEvent(payload), action));

  const refused: [what: string, payload: unknown, said: RegExp][] = [
    ['a text', 'run', /is a string/],
    ['an array', [], /is an array/],
    ['a number', 7, /is a number/],
    ['no action', { maxSeconds: 3 }, /no "action" \(its fields: "maxSeconds"\)/],
    ['another source', { source: 'aws.s3', detail: {} }, /no "action"/],
    ['an unknown action', { action: 'Run' }, /"Run" does not exist/],
    ['an action that is no text', { action: {} }, /does not exist/],
    ['an action of the prototype', { action: 'constructor' }, /"constructor" does not exist/],
    ['an unknown field', { action: 'run', maxSecond: 5 }, /"run" has no field "maxSecond"/],
    ['a field of another action', { action: 'status', maxSeconds: 5 }, /"status" has no field "maxSeconds"/],
    ['maxBatches of a drain', { action: 'drain', maxBatches: 5 }, /no field "maxBatches"/],
    ['no time', { action: 'run', maxSeconds: 0 }, /"maxSeconds" cannot be 0 \(allowed: a number, 3 to 900\)/],
    ['too much time', { action: 'drain', maxSeconds: 901 }, /cannot be 901/],
    ['time as text', { action: 'run', maxSeconds: '50' }, /cannot be "50"/],
    ['half a batch', { action: 'run', maxBatches: 1.5 }, /"maxBatches" cannot be 1.5/],
    ['a resume that is cut', { action: 'run', resume: { ...RESUME, rows: -1 } }, /"resume" cannot be/],
    ['a resume of no message', { action: 'run', resume: { ...RESUME, messages: 0 } }, /"resume" cannot be/],
    ['a snapshot of nothing', { action: 'snapshot', tables: [] }, /"tables" cannot be \[\] \(allowed: names of tables/],
    ['no commit LSN', { action: 'skip-transaction' }, /"commitLsn" is missing \(allowed: an LSN/],
    ['a bad commit LSN', { action: 'skip-transaction', commitLsn: '16B3748' }, /"commitLsn" cannot be "16B3748"/],
    ['a bad RequestType', { RequestType: 'create' }, /RequestType "create" does not exist/],
  ];
  for (const [what, payload, said] of refused) {
    it(`fails for ${what}, listing what there is`, () => {
      const message = refusal(payload);
      assert.match(message, said);
      for (const name of ACTION_NAMES) assert.ok(message.includes(`{"action":"${name}"`), message);
    });
  }

  it('fails for an event that CloudFormation sends to the function itself, for any version or alias of it', () => {
    const own = 'arn:aws:lambda:us-east-1:123456789012:function:orders';
    for (const RequestType of ['Create', 'Update', 'Delete'])
      for (const [token, invoked] of [
        [own, own],
        [`${own}:live`, own],
        [own, `${own}:7`],
      ])
        assert.throws(
          () => readEvent({ RequestType, ServiceToken: token, ResponseURL: 'https://x' }, invoked),
          /EVENT_INVALID: The event comes straight from CloudFormation.*Nothing was done/s,
        );
    assert.equal(readEvent({ RequestType: 'Create', ServiceToken: `${own}-framework` }, own).kind, 'lifecycle');
  });

  it('fails once for all that is wrong', () => {
    const message = refusal({ action: 'run', maxSeconds: -1, maxBatches: 0, x: 1, y: 2 });
    for (const part of ['"maxSeconds" cannot be -1', '"maxBatches" cannot be 0', 'no field "x"', 'no field "y"'])
      assert.ok(message.includes(part), message);
  });
});
