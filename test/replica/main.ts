/**
 * The replica on real servers, for longer than a test may take: `npm run test:replica -- --seconds 60 --version 18 --seed 1`.
 */
import { parseArgs } from 'node:util';
import { playRealRun } from './real-run.ts';

const { values } = parseArgs({
  options: {
    seconds: { type: 'string', default: '60' },
    version: { type: 'string' },
    seed: { type: 'string', default: String(Math.floor(Math.random() * 2 ** 31)) },
    share: { type: 'string', default: '1' },
  },
});
const { version } = values;
console.log(`--seed ${values.seed}`);
const came = await playRealRun({
  seed: Number(values.seed),
  seconds: Number(values.seconds),
  share: Number(values.share),
  ...(version === undefined ? {} : { version }),
  tell: (text) => console.log(text),
});
console.log(JSON.stringify(came));
