/** Reads the values of options. */
import { InvalidArgumentError } from 'commander';
import { type Lsn, parseLsn } from '../../lambda/decode/lsn.ts';

/**
 * @param least - the smallest allowed
 * @param whole - whether fractions are refused
 * @param most - the largest allowed @default any
 * @returns reads a number, and refuses what is none of these in words
 */
export const number =
  (least: number, whole: boolean, most = Infinity) =>
  (text: string): number => {
    const value = Number(text);
    if (text.trim() === '' || !(value >= least && value <= most && value < Infinity) || (whole && value % 1 !== 0)) {
      const range = most === Infinity ? `${least} or more` : `${least} to ${most}`;
      throw new InvalidArgumentError(`It has to be a ${whole ? 'whole ' : ''}number, ${range}.`);
    }
    return value;
  };

/** Reads a name: an empty one is most often a variable of the shell that is not set. */
export function readName(text: string): string {
  if (text.trim() === '') throw new InvalidArgumentError('It is empty.');
  return text;
}

/** Reads an LSN. */
export function lsn(text: string): Lsn {
  const value = parseLsn(text);
  if (value === undefined) throw new InvalidArgumentError('It has to be an LSN, for example 0/16B3748.');
  return value;
}

/** Reads JSON. */
export function readJson(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch (error) {
    throw new InvalidArgumentError(`It has to be JSON. ${error instanceof Error ? error.message : ''}`);
  }
}
