/** Equivalent mutants of lambda/postgres/. */
import type { EquivalentMutants } from '../equivalent-mutants.ts';

export const POSTGRES: readonly EquivalentMutants[] = [
  {
    file: 'lambda/postgres/connection-pair.ts',
    reason: 'Nobody reads this text: the line is there for the compiler, and whatever fails is thrown before it.',
    changes: [
      [
        "if (first.status !== 'fulfilled' || second.status !== 'fulfilled') throw new Error('unreachable');",
        "if (first.status !== 'fulfilled' || second.status !== 'fulfilled') throw new Error(\"\");",
      ],
    ],
  },
  {
    file: 'lambda/postgres/slot-state.ts',
    reason: 'Of the errors only 42704 depends on it, and for that the slot is looked up first.',
    changes: [['let slotIsSound = false;', 'let slotIsSound = true;']],
  },
];
