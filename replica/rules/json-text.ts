/**
 * Splits JSON without parsing its values: the members of an object, the items of an array, each as it is written. So a number
 * is never turned into a double, and a document keeps its blanks and its duplicate keys. Knows nothing of changes.
 */

const QUOTE = 0x22;
const COMMA = 0x2c;
const COLON = 0x3a;
const CLOSE = 0x7d;
const BACKSLASH = 0x5c;
const SPACE = 0x20;

/** @returns the index after the string that begins with the quote at `start` */
function afterString(text: string, start: number): number {
  for (let from = start + 1; ;) {
    const end = text.indexOf('"', from);
    if (end < 0) throw new SyntaxError('A string of the record has no end.');
    let slashes = 0;
    while (text.charCodeAt(end - 1 - slashes) === BACKSLASH) slashes++;
    if (slashes % 2 === 0) return end + 1;
    from = end + 1;
  }
}

/** @returns the index of the comma or bracket after the value that begins at `start`, blanks around it included */
function afterValue(text: string, start: number): number {
  if (text.charCodeAt(start) === QUOTE) {
    const end = afterString(text, start);
    const code = text.charCodeAt(end);
    if (code === COMMA || code === CLOSE) return end;
  }
  let depth = 0;
  for (let i = start; i < text.length;) {
    const code = text.charCodeAt(i);
    if (code === QUOTE) {
      i = afterString(text, i);
      continue;
    }
    // { and [ differ from } and ] by two, and from each other by 32.
    const kind = code & ~0x20;
    if (kind === 0x5b) depth++;
    else if (kind === 0x5d && --depth < 0) return i;
    else if (code === COMMA && depth === 0) return i;
    i++;
  }
  throw new SyntaxError('A value of the record has no end.');
}

/** @returns the index of the first character that is no blank */
function afterBlanks(text: string, start: number): number {
  let i = start;
  while (text.charCodeAt(i) <= SPACE) i++;
  return i;
}

/**
 * Calls with each member of an object.
 *
 * @param text - JSON of an object
 * @param member - called with its name, and its value as it is written
 * @throws {SyntaxError} where it is none; the message shows nothing of it
 */
export function eachMember(text: string, member: (name: string, source: string) => void): void {
  let i = afterBlanks(text, 0);
  if (text[i] !== '{') throw new SyntaxError('A record, or a part of it, is no JSON object.');
  i = afterBlanks(text, i + 1);
  if (text[i] === '}') return;
  for (;;) {
    if (text.charCodeAt(i) !== QUOTE) throw new SyntaxError('A name in the record is no string.');
    const end = afterString(text, i);
    const name = text.slice(i + 1, end - 1);
    const colon = text.charCodeAt(end) === COLON ? end : afterBlanks(text, end);
    if (text.charCodeAt(colon) !== COLON) throw new SyntaxError('A name in the record has no value.');
    const after = afterValue(text, colon + 1);
    member(name.includes('\\') ? (JSON.parse(`"${name}"`) as string) : name, text.slice(colon + 1, after));
    if (text.charCodeAt(after) !== COMMA) return;
    i = text.charCodeAt(after + 1) === QUOTE ? after + 1 : afterBlanks(text, after + 1);
  }
}

/**
 * The items of an array.
 *
 * @param text - JSON of an array
 * @returns each as it is written
 * @throws {SyntaxError} where it is none
 */
export function itemsOf(text: string): string[] {
  const items: string[] = [];
  let i = text.indexOf('[') + 1;
  if (i === 0) throw new SyntaxError('A part of the record is no JSON array.');
  if (text[afterBlanks(text, i)] === ']') return items;
  for (;;) {
    const after = afterValue(text, i);
    items.push(text.slice(i, after));
    if (text.charCodeAt(after) !== COMMA) return items;
    i = after + 1;
  }
}
