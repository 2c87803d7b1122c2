/**
 * Names and LSNs as SQL writes them. Pure.
 */
import { type Lsn, parseLsn } from '../../lambda/decode/lsn.ts';

/** @param name - an identifier @returns it in double quotes */
export function quoteName(name: string): string {
  return `"${name.replaceAll('"', '""')}"`;
}

/** @param text - an LSN that the target has printed @throws {Error} where it is none */
export function requireLsn(text: string): Lsn {
  const lsn = parseLsn(text);
  if (lsn === undefined) throw new Error(`"${text}" is no LSN.`);
  return lsn;
}
