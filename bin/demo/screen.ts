/**
 * What the demo prints: whole lines, a sample of the records as they arrive, and a status that a terminal keeps at its
 * last line. Knows nothing of what the lines mean.
 */
import { type Output, widthOf } from '../cli/terminal.ts';

/** The most records shown of those that arrived together. */
const SAMPLE = 8;
/** Longest line of a record where there is no terminal that has a width. */
const PLAIN_WIDTH = 240;
const CLEAR_LINE = '\r\x1b[K';

/** Prints. */
export class Screen {
  readonly #out: Output;
  #sample: string[] = [];
  #stride = 1;
  #records = 0;
  #status = '';
  #isOver = false;

  /** @param out - where to print */
  constructor(out: Output) {
    this.#out = out;
  }

  /** @param text - one line or several, printed at once and above the status */
  line(text: string): void {
    if (this.#isOver) return;
    if (this.#out.isTTY === true) this.#out.write(`${CLEAR_LINE}${text}\n${this.#status}`);
    else this.#out.write(`${text}\n`);
  }

  /** @param text - a record, shown at the next {@link Screen.flush} if it is among an even sample of those since the last */
  record(text: string): void {
    if (this.#records++ % this.#stride !== 0) return;
    this.#sample.push(text);
    if (this.#sample.length <= SAMPLE) return;
    // Every second one stays, and every second one is taken from here on.
    this.#sample = this.#sample.filter((_, index) => index % 2 === 0);
    this.#stride *= 2;
  }

  /**
   * Prints the records gathered and how many more there were, then the status.
   *
   * @param status - one line; on a terminal it takes the earlier one's place
   */
  flush(status: string): void {
    if (this.#isOver) return;
    const lines = this.#sample.map((text) => this.#fit(text));
    const more = this.#records - lines.length;
    if (more > 0) lines.push(`  ... and ${more} more`);
    this.#sample = [];
    this.#records = 0;
    this.#stride = 1;
    if (lines.length > 0) this.line(lines.join('\n'));
    if (this.#out.isTTY === true) {
      this.#status = this.#fit(status);
      this.#out.write(`${CLEAR_LINE}${this.#status}`);
    } else {
      this.line(status);
    }
  }

  /** Clears the status, so that what is printed next comes last. */
  end(): void {
    if (this.#status !== '') this.#out.write(CLEAR_LINE);
    this.#status = '';
  }

  /** @param text - printed last: what is printed by {@link Screen.line} and {@link Screen.flush} from then on is not shown */
  leave(text: string): void {
    this.end();
    this.#isOver = true;
    this.#out.write(`${text}\n`);
  }

  /** On one line. If it is too long, it is cut and its whole length is added. */
  #fit(text: string): string {
    const line = text.replaceAll('\r', '\\r').replaceAll('\n', '\\n');
    const width = this.#out.isTTY === true ? (widthOf(this.#out) ?? 80) - 1 : PLAIN_WIDTH;
    const characters = Array.from(line);
    if (characters.length <= width) return line;
    const rest = ` ... (${characters.length} characters)`;
    return characters.slice(0, Math.max(0, width - rest.length)).join('') + rest;
  }
}
