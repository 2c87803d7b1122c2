/**
 * A new user's trial, by README only, step by step with what is expected: `npm run test:trial`. The letters are those of
 * the trial that it was made from. Each step is a command line; what it says and how it exits is the test.
 */
import { after, before, describe, it } from 'node:test';
import { connecting } from './connecting.ts';
import { Environment } from './environment.ts';
import { kinesisSteps } from './kinesis.ts';
import { slotSteps } from './slot.ts';

describe('a new user’s trial', { concurrency: 1 }, () => {
  const environment: { value?: Environment } = {};
  const get = (): Environment => {
    if (environment.value === undefined) throw new Error('the environment is not there yet');
    return environment.value;
  };
  before(async () => {
    environment.value = await Environment.start();
  });
  after(async () => {
    await environment.value?.[Symbol.asyncDispose]();
  });

  describe('first contact and connection', () => connecting(it, get));
  describe('the slot', () => slotSteps(it, get));
  describe('the stream, settings and changes', () => kinesisSteps(it, get));
});
