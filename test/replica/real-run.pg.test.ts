/** A copy of tables with rows, while everything fails: a short form of `npm run test:replica`, with a part of the types. */
import { describe, it } from 'node:test';
import { playRealRun } from './real-run.ts';

describe('a replica while everything fails', () => {
  it('shows a state of the source at every moment, and ends equal to it in every type', async (t) => {
    const seed = Number(process.env['CHAOS_SEED'] ?? Math.floor(Math.random() * 2 ** 31));
    t.diagnostic(`CHAOS_SEED=${seed}`);
    t.diagnostic(JSON.stringify(await playRealRun({ seed, seconds: 3, share: 8 })));
  });
});
