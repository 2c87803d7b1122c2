/** A container that meets one failure after the other holds no more than before. The long one: `npm run test:soak`. */
import assert from 'node:assert/strict';
import { after, before, describe, it } from 'node:test';
import { type Environment, NAME, startEnvironment } from './environment.ts';
import { runWarm } from './warm-runs.ts';

describe('a warm container', () => {
  let environment: Environment;
  before(async () => {
    environment = await startEnvironment();
    await environment.server.sql('CREATE TABLE warm (id int PRIMARY KEY, note text)');
    await environment.server.createSlot(NAME);
  });
  after(() => environment.stop());

  it('I1, I8: keeps no memory, socket, timer, listener or backend of runs that failed, and loses nothing', async (t) => {
    const { invocations, ends, first, last } = await runWarm(environment, 40, 1);
    t.diagnostic(JSON.stringify({ invocations, ends, first, last }));
    assert.ok(Object.keys(ends).length >= 7, JSON.stringify(ends));
  });
});
