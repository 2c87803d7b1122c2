/** `explain`: a section of the runbook (docs/operations.md), for a terminal. Knows Markdown as far as that page uses it. */
import { readFileSync } from 'node:fs';
import { columns, type Layout } from './render/layout.ts';

/** Where the page is, two folders above this file and above the built one. */
const PAGE = new URL('../../docs/operations.md', import.meta.url);
/** Where a reader without the package finds it. */
const PAGE_NAME = 'docs/operations.md';

/** A section that can be asked for. */
interface Section {
  /** An error's code, or an alarm's name. */
  readonly name: string;
  readonly lines: readonly string[];
}

/** @param page - the runbook's text @returns its sections of alarms and errors, in the page's order */
export function sectionsOf(page: string): Section[] {
  const sections: { name: string; lines: string[] }[] = [];
  let current: { name: string; lines: string[] } | undefined;
  for (const line of page.split('\n')) {
    const [, alarm, code] = /^### (?:Alarm (\w+)|([A-Z][A-Z_]+))$/.exec(line) ?? [];
    const name = alarm ?? code;
    if (name !== undefined) sections.push((current = { name, lines: [] }));
    else if (/^#{1,3} /.test(line)) current = undefined;
    else if (!line.startsWith('<!--')) current?.lines.push(line);
  }
  return sections;
}

/**
 * Looks a section up.
 *
 * @param asked - a code or an alarm's name, in any case; undefined: list them
 * @param layout - colours and width
 * @param page - the runbook's text @default the package's own
 * @returns the text, and whether there is such a section
 */
export function explainCode(
  asked: string | undefined,
  layout: Layout,
  page: string = readFileSync(PAGE, 'utf8'),
): { readonly found: boolean; readonly text: string } {
  const sections = sectionsOf(page);
  const names = (codes: boolean): string =>
    sections
      .map(({ name }) => name)
      .filter((name) => /^[A-Z_]+$/.test(name) === codes)
      .join(', ');
  const list = columns(
    [
      ['error codes', names(true)],
      ['alarms', names(false)],
    ],
    layout,
  );
  if (asked === undefined) return { found: true, text: list };
  const wanted = asked.toLowerCase().replace(/^alarm[ -]?/, '');
  const section = sections.find(({ name }) => name.toLowerCase() === wanted);
  if (section === undefined) return { found: false, text: `${asked} is not explained. There are:\n${list}` };
  return {
    found: true,
    text: `${layout.colours.bold(section.name)}\n\n${render(section.lines, layout)}\n${layout.colours.dim(`From ${PAGE_NAME}, section ${section.name}.`)}\n`,
  };
}

/** Paragraphs and items, each wrapped by itself. */
function render(lines: readonly string[], layout: Layout): string {
  const blocks: { mark: string; text: string }[] = [];
  let open = false;
  let code = false;
  for (const line of lines) {
    if (line.startsWith('```')) {
      code = !code;
      open = false;
      continue;
    }
    const [, mark, item] = /^(-|\d+\.) +(.*)$/.exec(line) ?? [];
    const last = blocks.at(-1);
    if (code) blocks.push({ mark: '  ', text: line });
    else if (line.trim() === '') open = false;
    else if (line.startsWith('|')) {
      const cells = line
        .slice(1, -1)
        .split('|')
        .map((cell) => cell.trim());
      if (!cells.every((cell) => /^-*$/.test(cell)))
        blocks.push({ mark: '-', text: cells.filter((cell) => cell !== '').join(': ') });
    } else if (mark !== undefined) {
      blocks.push({ mark, text: item ?? '' });
      open = true;
    } else if (open && last !== undefined) last.text += ` ${line.trim()}`;
    else {
      blocks.push({ mark: '', text: line.trim() });
      open = true;
    }
  }
  return blocks
    .map(({ mark, text }, at) => {
      const gap = at === 0 || (mark !== '' && blocks[at - 1]?.mark !== '') ? '' : '\n';
      const shown = plain(text);
      const strong = /^\*\*.*\*\*$/.test(text) ? { text: shown, paint: layout.colours.bold } : shown;
      return `${gap}${mark === '' ? columns([[strong]], layout) : columns([[mark, strong]], layout)}`;
    })
    .join('');
}

/** A text without its marks; of a link to elsewhere, where it leads. */
function plain(text: string): string {
  return text
    .replaceAll(/\[([^\]]*)\]\(([^)]*)\)/g, (_all, words: string, target: string) =>
      target.startsWith('#') ? words : `${words} (${target.startsWith('http') ? target : `docs/${target}`})`,
    )
    .replaceAll(/\*\*(.+?)\*\*/g, '$1')
    .replaceAll(/(^|[\s(])\*([^*]+)\*/g, '$1$2')
    .replaceAll('`', '');
}
