/** The answer of `tables` for people. Pure. */
import type { TablesAnswer } from '../../../lambda/actions/tables.ts';
import type { Published } from '../../../lambda/health/published-tables.ts';
import { columns, type Layout } from './layout.ts';
import { counted } from './units.ts';

/** How it is said whether a table is published. */
const WORDS: Readonly<Record<Published, string>> = {
  yes: 'published',
  partly: 'partly',
  no: 'not published',
  partitions: 'its partitions',
};

/**
 * @param answer - of `tables`
 * @param layout - colours and width
 */
export function renderTables({ tables, database }: TablesAnswer, layout: Layout): string {
  const { colours } = layout;
  if (tables.length === 0) return `The database ${database} has no tables.\n`;
  const paint: Record<Published, (text: string) => string> = {
    yes: colours.green,
    partly: colours.yellow,
    no: colours.red,
    partitions: colours.dim,
  };
  const head = ['table', 'primary key', 'replica identity', 'published', ''].map((text) => ({
    text,
    paint: colours.bold,
  }));
  const rows = tables.map(({ name, key, replicaIdentity, published, why = '' }) => [
    name,
    key.length === 0 ? '-' : key.join(', '),
    replicaIdentity,
    { text: WORDS[published], paint: paint[published] },
    why,
  ]);
  const having = (state: Published): number => tables.filter(({ published }) => published === state).length;
  return `${columns([head, ...rows], layout)}\n${counted(having('yes') + having('partly'), 'table')} published, ${having('no')} not.\n`;
}
