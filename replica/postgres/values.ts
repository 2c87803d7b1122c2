/**
 * Turns a value of a record into the text that PostgreSQL reads, by the type of the target's column, as docs/records.md describes
 * values. Numbers and JSON documents keep their text, and never become a double. Pure.
 */
import type { JsonText } from '../rules/fold.ts';
import { itemsOf } from '../rules/json-text.ts';

/** How a type's values are read. */
export type TypeKind =
  | { readonly kind: 'text' }
  | { readonly kind: 'json' }
  | { readonly kind: 'bytea' }
  /** A domain: its text, whatever it is made of. */
  | { readonly kind: 'domain' }
  | { readonly kind: 'array'; readonly element: TypeKind; readonly delimiter: string };

/**
 * @param source - a value as it is written in a record; JSON's null is `null`, SQL's is null
 * @param kind - of the column's type
 * @returns the text of the value, for a column of that type; null: SQL's NULL
 */
export function textOf(source: Exclude<JsonText, undefined>, kind: TypeKind): string | null {
  if (source === null) return null;
  switch (kind.kind) {
    case 'json':
      return source;
    case 'array': {
      const text = source.trimStart();
      return text.startsWith('[') ? arrayText(text, kind.element, kind.delimiter) : unquoted(text);
    }
    case 'bytea':
      return bytesText(unquoted(source));
    case 'text':
    case 'domain':
      return unquoted(source);
  }
}

/**
 * The opposite of {@link textOf}.
 *
 * @param text - a value's text, as the server writes it; null: SQL's NULL
 * @param kind - of the column's type
 * @returns the value as a record writes it: {@link textOf} makes the same text of it
 */
export function sourceOf(text: string | null, kind: TypeKind): string | null {
  return text === null || kind.kind === 'json' ? text : JSON.stringify(text);
}

/** A string's content, anything else as it is. */
function unquoted(source: string): string {
  if (!source.startsWith('"')) return source;
  return source.includes('\\') ? (JSON.parse(source) as string) : source.slice(1, -1);
}

/** A bytea. Base64 has no backslash, so a text that begins with one is the server's own form. */
function bytesText(text: string): string {
  return text.startsWith('\\x') ? text : `\\x${Buffer.from(text, 'base64').toString('hex')}`;
}

function arrayText(source: string, element: TypeKind, delimiter: string): string {
  const items = itemsOf(source).map((item) => {
    // An array of documents may hold arrays; it is never nested, then it comes as text.
    if (item.startsWith('[') && element.kind !== 'json') return arrayText(item, element, delimiter);
    if (item === 'null') return 'NULL';
    return `"${(textOf(item, element) ?? '').replace(/["\\]/g, '\\$&')}"`;
  });
  return `{${items.join(delimiter)}}`;
}

const SPECIAL = /[\\\n\r\t]/;
const ESCAPES: Readonly<Record<string, string>> = { '\\': '\\\\', '\n': '\\n', '\r': '\\r', '\t': '\\t' };

/**
 * @param text - a value's text; null: SQL's NULL
 * @returns it as a field of COPY's text format
 * @see https://www.postgresql.org/docs/current/sql-copy.html
 */
export function copyField(text: string | null): string {
  if (text === null) return '\\N';
  return SPECIAL.test(text) ? text.replace(/[\\\n\r\t]/g, (char) => ESCAPES[char] ?? char) : text;
}
