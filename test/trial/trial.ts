/**
 * A new user's trial, by README only, step by step with what is expected: `npm run test:trial`. The letters are those of
 * the trial that it was made from. Each step is a command line; what it says and how it exits is the test.
 */
import { after, before, describe, it } from 'node:test';
import { firstContact } from './first-contact.ts';
import { Ground } from './ground.ts';
import { kinesisSteps } from './kinesis.ts';
import { slotSteps } from './slot.ts';

describe('a new user’s trial', { concurrency: 1 }, () => {
  const ground: { value?: Ground } = {};
  const get = (): Ground => {
    if (ground.value === undefined) throw new Error('the ground is not there yet');
    return ground.value;
  };
  before(async () => {
    ground.value = await Ground.start();
  });
  after(async () => {
    await ground.value?.[Symbol.asyncDispose]();
  });

  describe('first contact and connection', () => firstContact(it, get));
  describe('the slot', () => slotSteps(it, get));
  describe('the stream, settings and changes', () => kinesisSteps(it, get));
});
