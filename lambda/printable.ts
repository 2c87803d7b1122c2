/**
 * Text that cannot break out of its line: names of tables, users and applications may hold any character, and a log is
 * read by lines. Pure.
 */

/** Controls of ASCII and of Unicode, line and paragraph separators, and what turns the direction of a text. */
// eslint-disable-next-line no-control-regex -- these are what is looked for
const CONTROLS = /[\u0000-\u001f\u007f-\u009f\u2028\u2029\u202a-\u202e\u2066-\u2069]/g;

/**
 * Escapes what a terminal would obey, as JSON would.
 *
 * @param text - of any origin
 * @returns the same text with each control character as `\n`, `\t` or `\u001b`
 */
export function printable(text: string): string {
  return text.replace(CONTROLS, (control) => {
    if (control === '\n') return '\\n';
    if (control === '\t') return '\\t';
    return escaped(control);
  });
}

/**
 * The same for JSON, whose strings have only the first 32 of them escaped; its own line breaks stay.
 *
 * @param json - as JSON.stringify gives it
 * @returns JSON of the same value
 */
export function printableJson(json: string): string {
  return json.replace(CONTROLS, (control) => (control === '\n' ? control : escaped(control)));
}

function escaped(control: string): string {
  return `\\u${control.charCodeAt(0).toString(16).padStart(4, '0')}`;
}
