/**
 * JSON of printable ASCII alone. A message's content is in no encoding: what is not ASCII would be read in another one than it
 * was written in. Pure.
 */

/** @returns the value's JSON */
export function ascii(value: object): string {
  return JSON.stringify(value).replaceAll(
    /[^\x20-\x7e]/g,
    (character) => `\\u${character.charCodeAt(0).toString(16).padStart(4, '0')}`,
  );
}

/** @returns how long the value's JSON is, with the comma behind it */
export function encodedLength(value: object): number {
  return ascii(value).length + 1;
}
