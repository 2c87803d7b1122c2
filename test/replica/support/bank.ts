/**
 * A writer whose tables break whatever is applied in another order: two accounts whose sum is always the same, unique values
 * that are swapped, keys of numeric that move, children that follow their parents by cascades, values out of line, TRUNCATE.
 */
import type pg from 'pg';
import { type Random, randomOf } from '../rules/model/random.ts';
import { emptying } from './by-version.ts';

/** What both tables of accounts hold together. */
export const TOTAL = 1_000;

/** The tables, at both ends. */
export const BANK = `
  CREATE TABLE public.left_accounts (id integer PRIMARY KEY, amount integer NOT NULL, note text);
  CREATE TABLE public.right_accounts (id numeric PRIMARY KEY, amount integer NOT NULL, rank integer UNIQUE, note text);
  CREATE TABLE public.orders (id numeric, part text, account numeric REFERENCES public.right_accounts ON UPDATE CASCADE ON DELETE CASCADE,
    doc jsonb, day date, big text, PRIMARY KEY (part, id));
  ALTER TABLE public.left_accounts ALTER note SET STORAGE EXTERNAL;
  ALTER TABLE public.right_accounts ALTER note SET STORAGE EXTERNAL;
  ALTER TABLE public.orders ALTER big SET STORAGE EXTERNAL;`;

export const BANK_TABLES = ['public.left_accounts', 'public.right_accounts', 'public.orders'] as const;

/** Fills the tables, in one transaction. */
export const FILL = `BEGIN;
  INSERT INTO public.left_accounts SELECT i, ${TOTAL / 20}, repeat('l', 3000) FROM generate_series(1, 10) AS i;
  INSERT INTO public.right_accounts SELECT i, ${TOTAL / 20}, i, repeat('r', 3000) FROM generate_series(1, 10) AS i;
  INSERT INTO public.orders SELECT i, 'a', 1 + i % 10, '{"a": [1, null]}', '2026-01-01', repeat('o', 3000) FROM generate_series(1, 30) AS i;
  COMMIT`;

/** Writes transactions. */
export class Bank {
  readonly #client: pg.Client;
  readonly #random: Random;
  #serial: number;

  /**
   * @param seed - of what it does
   * @param serial - its keys are above it: each of several writers needs keys of its own
   */
  constructor(client: pg.Client, seed: number, serial = 100) {
    this.#client = client;
    this.#random = randomOf(seed);
    this.#serial = serial;
  }

  /** One transaction. */
  async write(): Promise<void> {
    const { int, next } = this.#random;
    const statements: string[] = [];
    for (let left = next() < 0.05 ? 60 : 1 + int(4); left > 0; left--) statements.push(this.#statement());
    await this.#client.query(`BEGIN; ${statements.join('; ')}; COMMIT`);
  }

  #statement(): string {
    const { int, next } = this.#random;
    const account = 1 + int(10);
    const n = ++this.#serial;
    switch (int(11)) {
      case 0:
      case 1:
      case 2: {
        const amount = 1 + int(9);
        return `UPDATE public.left_accounts SET amount = amount - ${amount} WHERE id = ${account}; UPDATE public.right_accounts SET amount = amount + ${amount} WHERE rank = ${1 + int(10)}`;
      }
      case 3: {
        const [a, b] = [1 + int(10), 1 + int(10)];
        if (a === b) return 'SELECT 1';
        return `UPDATE public.right_accounts SET rank = ${1000 + n} WHERE rank = ${a}; UPDATE public.right_accounts SET rank = ${a} WHERE rank = ${b}; UPDATE public.right_accounts SET rank = ${b} WHERE rank = ${1000 + n}`;
      }
      case 4:
        // Another text of an equal key; its orders follow.
        return `UPDATE public.right_accounts SET id = (trunc(id) || '.${'0'.repeat(1 + int(3))}')::numeric WHERE rank = ${account}`;
      case 5:
        return `UPDATE public.right_accounts SET id = ${n} WHERE rank = ${account}`;
      case 6:
        return `INSERT INTO public.orders SELECT ${n}, 'b', id, '{"n": ${n}}', '2026-02-01', ${next() < 0.5 ? 'NULL' : `repeat('x${n}', 900)`} FROM public.right_accounts WHERE rank = ${account}`;
      case 7:
        return `UPDATE public.orders SET day = day + 1, part = CASE WHEN id % 3 = 0 THEN part || 'c' ELSE part END WHERE id % 7 = ${int(7)} AND length(part) < 20`;
      case 9:
        // Its orders go with it.
        return `DO $$ DECLARE r public.right_accounts; BEGIN DELETE FROM public.right_accounts WHERE rank = ${account} RETURNING * INTO r; INSERT INTO public.right_accounts VALUES (${n}, r.amount, r.rank, r.note); END $$`;
      case 8:
        return `DELETE FROM public.orders WHERE id % 11 = ${int(11)}`;
      default:
        return next() < 0.15
          ? emptying('public.orders')
          : `UPDATE public.left_accounts SET note = 'n${n}' WHERE id = ${account}`;
    }
  }
}
