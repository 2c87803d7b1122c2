/** What a transaction adds to its records, digit by digit, is what is written of an LSN and of a time elsewhere. */
import assert from 'node:assert/strict';
import { it } from 'node:test';
import fc from 'fast-check';
import { formatLsn } from '../../../../lambda/decode/lsn.ts';
import type { Transaction } from '../../../../lambda/decode/messages.ts';
import { ByteWriter } from '../../../../lambda/format/byte-writer.ts';
import { TransactionText } from '../../../../lambda/format/json/transaction-text.ts';
import { isoMicros } from '../../../../lambda/format/temporal.ts';

const HALF = 2n ** 32n;
const SAFE = BigInt(Number.MAX_SAFE_INTEGER);
const SECOND = 1_000_000n;

const lsn = fc.oneof(
  fc.bigInt({ min: 0n, max: 2n ** 64n - 1n }),
  fc.bigInt({ min: 0n, max: 2n ** 40n }),
  fc.constantFrom(0n, 9n, 10n, 15n, 16n, HALF - 1n, HALF, SAFE, SAFE + 1n, SAFE + 2n, 2n ** 64n - 1n),
);
const micros = fc.oneof(
  fc.bigInt({ min: -62_135_596_800_000_000n, max: 253_402_300_799_999_999n }),
  fc.bigInt({ min: 1_767_323_045n * SECOND, max: 1_767_323_047n * SECOND }),
  fc.constantFrom(-1n, 0n, 1n, 999_999n, SECOND, SAFE, SAFE + 1n, SAFE + 2n),
);
const xid = fc.oneof(fc.nat(1000), fc.integer({ min: 0, max: 0xffffffff }));

it('is the same whatever transaction was written before', () => {
  const transactions = fc.array(fc.record({ xid, commitLsn: lsn, commitTimeMicros: micros }), { minLength: 1 });
  const text = new TransactionText();
  const written = (transaction: Transaction): string[] => {
    text.select(transaction);
    const parts = [new ByteWriter(1), new ByteWriter(1), new ByteWriter(1)] as const;
    text.writeHead(parts[0]);
    text.writeMiddle(parts[1]);
    text.writeTail(parts[2]);
    return parts.map(String);
  };
  fc.assert(
    fc.property(transactions, (given) => {
      for (const transaction of given) {
        const position = formatLsn(transaction.commitLsn);
        const expected = [
          `{"id":"${position}@${transaction.commitTimeMicros}#`,
          `,"xid":${transaction.xid},"commitLsn":"${position}","ordinal":`,
          `,"commitTime":"${isoMicros(transaction.commitTimeMicros)}"}`,
        ];
        assert.deepEqual(written(transaction), expected);
      }
    }),
  );
});
