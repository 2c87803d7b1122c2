/**
 * Converters of types whose values are rare or short enough to go through a string. The hot types work on bytes.
 */
import type { Converter } from './json/converter.ts';
import { writeJsonString } from './text.ts';

/**
 * Makes a converter of a function on text.
 *
 * @param convert - the server's text of a value to JSON text; undefined: the text is written as a JSON string
 */
export function fromText(convert: (text: string) => string | undefined): Converter {
  return (out, bytes, start, end, doubled) => {
    const raw = bytes.toString('utf8', start, end);
    const json = convert(doubled ? raw.replaceAll("''", "'") : raw);
    if (json === undefined) writeJsonString(out, bytes, start, end, doubled);
    else out.utf8(json);
  };
}
