/** The plugins whose slots can be read. */
import assert from 'node:assert/strict';
import { it } from 'node:test';
import { isReadablePlugin } from '../../../lambda/decode/plugin-names.ts';

it('A slot can be read whose plugin has a decoder', () => {
  for (const name of ['test_decoding', 'pgoutput', 'wal2json']) assert.equal(isReadablePlugin(name), true, name);
  for (const name of ['decoderbufs', 'WAL2JSON', '', undefined]) assert.equal(isReadablePlugin(name), false, name);
});
