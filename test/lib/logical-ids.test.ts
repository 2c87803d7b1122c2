/**
 * The logical IDs of what holds data or is held by others. A changed one makes CloudFormation create a new resource and
 * delete the old one at the next deploy of every user: of a stream, of a slot, of a function that somebody invokes by name.
 * So these are written down here as they are deployed, and not computed.
 */
import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { onlyResource, synthesise } from './synth.ts';

describe('logical IDs', () => {
  for (const settings of [
    {},
    { slotName: 'orders', name: 'orders', onRemoval: 'retain' },
    { alarms: false, dashboard: false },
  ]) {
    it(`are those that are deployed already, with ${JSON.stringify(settings)}`, () => {
      const { template, function: own } = synthesise(settings);
      assert.deepEqual(
        {
          stream: onlyResource(template, 'AWS::Kinesis::Stream').id,
          slot: onlyResource(template, 'Custom::Pg2KinesisSlot').id,
          function: own.id,
        },
        { stream: 'Stream862536A4', slot: 'SlotCF8C3CD8', function: 'PublisherFunction1938950E' },
      );
    });
  }
});
