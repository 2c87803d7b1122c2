/** Equivalent mutants of lambda/kinesis/. */
import type { EquivalentMutants } from '../equivalent-mutants.ts';

export const KINESIS: readonly EquivalentMutants[] = [
  {
    file: 'lambda/kinesis/classify.ts',
    reason: "The SDK's own list has HTTP 500.",
    changes: [
      [
        "return status === undefined || status < 400 || status >= 500 || status === 408 ? 'retry' : undefined;",
        "return status === undefined || status < 400 || status > 500 || status === 408 ? 'retry' : undefined;",
      ],
    ],
  },
  {
    file: 'lambda/kinesis/publisher.ts',
    reason: 'Nothing shows the text: a failure is described by its name.',
    changes: [["const error = new Error('The request to Kinesis took too long.');", 'const error = new Error("");']],
  },
  {
    file: 'lambda/kinesis/request-body.ts',
    reason: 'One more piece is empty, and writes nothing.',
    changes: [
      ['for (let i = 0; i < from.length; i += PIECE_BYTES)', 'for (let i = 0; i <= from.length; i += PIECE_BYTES)'],
    ],
  },
];
