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
  {
    file: 'lambda/postgres/binary-copy-reader.ts',
    reason: 'The buffer is large enough either way: how much room is left in it decides how often it grows.',
    changes: [
      [
        'const grown = Buffer.allocUnsafeSlow(Math.max(bytes, Math.min(this.#carry.length * 2, 1 << 20)));',
        'const grown = Buffer.allocUnsafeSlow(Math.max(bytes, Math.min(this.#carry.length / 2, 1 << 20)));',
      ],
    ],
  },
  {
    file: 'lambda/postgres/copy-out-query.ts',
    reason: 'Nobody reads this text: node-postgres has one reader on each connection, and the line says so.',
    changes: [
      [
        "if (rest === undefined || readers.length > 1) throw new Error('not the one reader of a connection');",
        'if (rest === undefined || readers.length > 1) throw new Error("");',
      ],
    ],
  },
  {
    file: 'lambda/postgres/mvcc-snapshot.ts',
    reason: 'The first element is not looked at: the others are undefined in both.',
    changes: [
      [
        String.raw`const [, next, running] = /^\d+:(\d+):([\d,]*)$/.exec(text) ?? [];`,
        String.raw`const [, next, running] = /^\d+:(\d+):([\d,]*)$/.exec(text) ?? ["Stryker was here"];`,
      ],
    ],
  },
  {
    file: 'lambda/postgres/peek.ts',
    reason: 'Only what was said before the first row is kept, so a later look finds the same.',
    changes: [['if (first) this.#requirePublications();', 'if (true) this.#requirePublications();']],
  },
  {
    file: 'lambda/postgres/snapshot-reader.ts',
    reason: 'A SQLSTATE has five characters, and no other code begins with these digits.',
    changes: [['const OF_THE_SERVER = /^(53|58)...$/;', 'const OF_THE_SERVER = /^(53|58).../;']],
  },
  {
    file: 'lambda/postgres/left-out.ts',
    reason: 'The first element is not looked at: the others are undefined in both.',
    changes: [
      [
        'const [, schema, name] = routine === ROUTINE ? (TEXT.exec(message) ?? []) : [];',
        'const [, schema, name] = routine === ROUTINE ? (TEXT.exec(message) ?? ["Stryker was here"]) : [];',
      ],
    ],
  },
  {
    file: 'lambda/postgres/timeline-history.ts',
    reason: 'The first element is not looked at: the others are undefined in both.',
    changes: [
      [
        String.raw`const [, timeline, lsn = ''] = /^\s*(\d+)\s+([0-9A-F]+\/[0-9A-F]+)/i.exec(line) ?? [];`,
        String.raw`const [, timeline, lsn = ''] = /^\s*(\d+)\s+([0-9A-F]+\/[0-9A-F]+)/i.exec(line) ?? ["Stryker was here"];`,
      ],
    ],
  },
  {
    file: 'lambda/postgres/notices.ts',
    reason: 'Behind the end there is no zero byte: the search for the end of the field ends the loop.',
    changes: [['while (at < body.length && body[at] !== 0) {', 'while (true && body[at] !== 0) {']],
  },
  {
    file: 'lambda/postgres/binary-copy-reader.ts',
    reason: 'The buffer is large enough either way: how often it grows, and by how much, costs time and memory only.',
    changes: [
      ['if (bytes <= this.#carry.length) return;', 'if (false) return;'],
      [
        'const grown = Buffer.allocUnsafeSlow(Math.max(bytes, Math.min(this.#carry.length * 2, 1 << 20)));',
        'const grown = Buffer.allocUnsafeSlow(Math.max(bytes, Math.max(this.#carry.length * 2, 1 << 20)));',
      ],
    ],
  },
  {
    file: 'lambda/postgres/close-connection.ts',
    reason: 'A connection that has ended has a socket that is destroyed already.',
    changes: [['if (!over.signal.aborted) destroy(client);', 'if (true) destroy(client);']],
  },
];
