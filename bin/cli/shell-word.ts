/** Words of commands that an operator is told to paste. Text only. */

/**
 * @param text - any text, such as a quoted name of a table
 * @returns one word of a POSIX shell that is this text
 */
export function shellWord(text: string): string {
  return `'${text.replaceAll("'", `'\\''`)}'`;
}
