/** Columns without borders, wrapped to the terminal's width. Knows nothing of what is in them. */
import Table from 'cli-table3';
import { printable } from '../../../lambda/printable.ts';
import { type Colours, coloursFor } from '../style.ts';
import { type Terminal, widthOf } from '../terminal.ts';

/** What a rendering goes by. */
export interface Layout {
  readonly colours: Colours;
  /** The width of a line; undefined: lines are not wrapped. */
  readonly width: number | undefined;
}

/** @param terminal - what is written to its standard output, and how */
export function layoutOf({ stdout, env }: Pick<Terminal, 'stdout' | 'env'>): Layout {
  return { colours: coloursFor(stdout, env), width: widthOf(stdout) };
}

/** A cell: a text of any origin, and how it is shown. */
export interface Cell {
  readonly text: string;
  readonly paint?: (text: string) => string;
}

const NO_BORDERS = Object.fromEntries(
  ['top', 'top-mid', 'top-left', 'top-right', 'bottom', 'bottom-mid', 'bottom-left', 'bottom-right']
    .concat(['left', 'left-mid', 'mid', 'mid-mid', 'right', 'right-mid', 'middle'])
    .map((place) => [place, '']),
);

const GAP = 2;
/** The last column takes what is left, and at least this. */
const MIN_LAST_WIDTH = 20;

/**
 * @param rows - each of the same number of cells
 * @param layout - the width; the last column is wrapped to it
 * @returns lines, each with its line break
 */
export function columns(rows: readonly (readonly (string | Cell)[])[], { width }: Layout): string {
  if (rows.length === 0) return '';
  const cells = rows.map((row) => row.map((cell): Cell => (typeof cell === 'string' ? { text: cell } : cell)));
  const last = (cells[0]?.length ?? 0) - 1;
  const longest = (at: number): number => Math.max(...cells.map((row) => printable(row[at]?.text ?? '').length));
  const before = Array.from({ length: last }, (_, at) => longest(at) + GAP).reduce((sum, each) => sum + each, 0);
  const room = width === undefined ? undefined : Math.max(MIN_LAST_WIDTH, width - before);
  // A column is as wide as its longest line.
  const table = new Table({
    chars: NO_BORDERS,
    style: { 'padding-left': 0, 'padding-right': GAP, head: [], border: [] },
  });
  for (const row of cells) {
    table.push(
      row.map(({ text, paint }, at) => {
        const shown = printable(text);
        return (paint ?? String)(at === last && room !== undefined ? wrapped(shown, room) : shown);
      }),
    );
  }
  return table
    .toString()
    .split('\n')
    .map((line) => `${line.trimEnd()}\n`)
    .join('');
}

/** Breaks a text between words. A word that is longer than the room, as an ARN may be, stays whole, so that it can be read and copied. */
function wrapped(text: string, room: number): string {
  const lines: string[] = [];
  const [first = '', ...words] = text.split(' ');
  let line = first;
  for (const word of words) {
    if (line.length + 1 + word.length <= room) {
      line += ` ${word}`;
    } else {
      lines.push(line);
      line = word;
    }
  }
  return [...lines, line].join('\n');
}
