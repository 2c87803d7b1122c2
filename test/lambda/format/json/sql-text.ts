/**
 * A value of a `json` record back to the text that PostgreSQL reads, as docs/records.md tells a consumer to do it.
 * Written from that page, knowing none of the code that wrote the record.
 */

/**
 * @param source - the value's own bytes in the record: numbers and documents must not go through a double
 * @param type - the column's type, as format_type prints it without a modifier
 * @param isJsonNull - whether `jsonNull` names the column
 * @param delimiter - the element type's typdelim, of an array's type
 * @returns the text; null: SQL's NULL
 */
export function sqlText(source: string, type: string, isJsonNull = false, delimiter = ','): string | null {
  if (source === 'null') return isJsonNull ? 'null' : null;
  if (type === 'json' || type === 'jsonb') return source;
  if (type.endsWith('[]')) {
    const element = type.slice(0, -2);
    // An array of documents holds documents that are arrays: only an array that is nothing but arrays is nested.
    const nests = element !== 'json' && element !== 'jsonb';
    return source.startsWith('[')
      ? arrayText(source, (item) => sqlText(item, element), delimiter, nests)
      : (JSON.parse(source) as string);
  }
  if (!source.startsWith('"')) return source;
  const text = JSON.parse(source) as string;
  return type === 'bytea' && !text.startsWith('\\x') ? `\\x${Buffer.from(text, 'base64').toString('hex')}` : text;
}

/**
 * A JSON array as the text of PostgreSQL's.
 *
 * @param source - its own bytes
 * @param read - an element's text; null: SQL's NULL
 * @param delimiter - between its elements
 * @param nests - whether an element that is an array is one of PostgreSQL's
 */
export function arrayText(
  source: string,
  read: (item: string) => string | null,
  delimiter: string,
  nests = true,
): string {
  const items = itemsOf(source).map((item) => {
    if (item.startsWith('[') && nests) return arrayText(item, read, delimiter);
    const text = read(item);
    return text === null ? 'NULL' : `"${text.replace(/["\\]/g, '\\$&')}"`;
  });
  return `{${items.join(delimiter)}}`;
}

/** The elements of a JSON array, each as it is written. */
function itemsOf(source: string): string[] {
  const items: string[] = [];
  let depth = 0;
  let quoted = false;
  let begin = 1;
  for (let i = 1; i < source.length; i++) {
    const char = source[i];
    if (quoted) {
      if (char === '\\') i++;
      else if (char === '"') quoted = false;
    } else if (char === '"') quoted = true;
    else if (char === '[' || char === '{') depth++;
    else if ((char === ',' || char === ']') && depth === 0) {
      if (i > begin) items.push(source.slice(begin, i));
      begin = i + 1;
    } else if (char === ']' || char === '}') depth--;
  }
  return items;
}
