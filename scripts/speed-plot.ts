/**
 * Draws what the benchmark measured: changes a second. One picture for light pages and one for dark ones, because GitHub's
 * theme is not the browser's. Pure: figures in, SVG out.
 */
import type { Speed } from './speed.ts';

/** A bar. */
interface Bar {
  readonly name: string;
  readonly perSecond: number;
}

/** The pictures, and their colours: text, bars of pg2kinesis, bar of the one it is compared with. */
export const THEMES = {
  light: { text: '#1f2328', ours: '#0969da', other: '#8c959f' },
  dark: { text: '#e6edf3', ours: '#4493f8', other: '#7d8590' },
} as const;

const ROW = 34;
const LABEL = 250;
const WIDTH = 810;
const BARS = 390;

/**
 * @param speed - a run of the benchmark
 * @returns a bar for each who read the workload `small` with a whole core
 */
export function barsOf({ lines }: Pick<Speed, 'lines'>): Bar[] {
  return lines
    .filter(({ workload, share }) => workload === 'small' && share === undefined)
    .map(({ subject, changes, wallMs, bytes }) => ({
      name: bytes === undefined ? subject : `pg2kinesis, ${subject}`,
      perSecond: Math.round((1000 * changes) / wallMs),
    }));
}

/**
 * @param bars - at least one
 * @param theme - of the page that it is shown on
 * @returns an SVG file
 */
export function drawBars(bars: readonly Bar[], theme: keyof typeof THEMES): string {
  const { text, ours, other } = THEMES[theme];
  const most = Math.max(...bars.map(({ perSecond }) => perSecond));
  const rows = bars.map(({ name, perSecond }, index) => {
    const y = index * ROW + 8;
    const width = Math.round((perSecond / most) * BARS);
    const fill = name.startsWith('pg2kinesis') ? ours : other;
    return [
      `<text x="${LABEL - 12}" y="${y + 15}" text-anchor="end">${name}</text>`,
      `<rect x="${LABEL}" y="${y}" width="${width}" height="22" rx="3" fill="${fill}"/>`,
      `<text x="${LABEL + width + 10}" y="${y + 15}">${perSecond.toLocaleString('en-US')} changes/s</text>`,
    ].join('\n');
  });
  const height = bars.length * ROW + 8;
  return [
    `<svg xmlns="http://www.w3.org/2000/svg" width="${WIDTH}" height="${height}" viewBox="0 0 ${WIDTH} ${height}" role="img" font-family="system-ui, sans-serif" font-size="14" fill="${text}">`,
    `<title>Changes a second: ${bars.map(({ name, perSecond }) => `${name}: ${perSecond}`).join('; ')}</title>`,
    ...rows,
    '</svg>\n',
  ].join('\n');
}
