/** A JSON object's fields, each as it is written: what a number or document says must not go through JavaScript's numbers. */

/**
 * Takes an object apart.
 *
 * @param source - the object's text, without blanks between its parts
 * @returns each field's own text, by name
 */
export function fieldsOf(source: string): Map<string, string> {
  const fields = new Map<string, string>();
  let depth = 0;
  let quoted = false;
  let begin = 1;
  let colon = -1;
  for (let i = 0; i < source.length; i++) {
    const char = source[i];
    if (quoted) {
      if (char === '\\') i++;
      else if (char === '"') quoted = false;
    } else if (char === '"') quoted = true;
    else if (char === '{' || char === '[') depth++;
    else if (char === ':' && depth === 1 && colon === -1) colon = i;
    else if (char === ',' && depth === 1) {
      fields.set(JSON.parse(source.slice(begin, colon)) as string, source.slice(colon + 1, i));
      begin = i + 1;
      colon = -1;
    } else if (char === '}' || char === ']') {
      depth--;
      if (depth === 0 && colon !== -1)
        fields.set(JSON.parse(source.slice(begin, colon)) as string, source.slice(colon + 1, i));
    }
  }
  return fields;
}
