/**
 * `npm run test:soak`: a thousand invocations of one container, with every kind of failure in turn. It takes a quarter of
 * an hour and is not part of `npm test`, which has forty of them. `SOAK_INVOCATIONS=5000` and `SOAK_SEED=7` change it.
 */
import { after, before, describe, it } from 'node:test';
import { type Environment, NAME, startEnvironment } from '../chaos/environment.ts';
import { runWarm } from '../chaos/warm-runs.ts';

describe('a container that is warm for long', () => {
  let environment: Environment;
  before(async () => {
    environment = await startEnvironment();
    await environment.server.sql('CREATE TABLE warm (id int PRIMARY KEY, note text)');
    await environment.server.createSlot(NAME);
  });
  after(() => environment.stop());

  it('I1, I8: keeps no memory, socket, timer, listener or backend, and loses nothing', async (t) => {
    const least = Number(process.env['SOAK_INVOCATIONS'] ?? 1_000);
    const seed = Number(process.env['SOAK_SEED'] ?? Math.floor(Math.random() * 2 ** 31));
    t.diagnostic(`SOAK_SEED=${seed}`);
    t.diagnostic(JSON.stringify(await runWarm(environment, least, seed)));
  });
});
