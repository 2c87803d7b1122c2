/**
 * How a server tells that a publication is missing: to 17 by an error, from 18 by a warning, after which it leaves the
 * rows out. Both come from the same routine of its source, whatever lc_messages is. Pure.
 */
import { PipelineError } from '../errors.ts';
import type { Notice } from './notices.ts';
import type { SlotPlugin } from './plugins.ts';

/** Of the server's source: what looks a publication up, for an error (of 12 and older by another name) and for a warning. */
const ROUTINES = new Set(['get_publication_oid', 'GetPublicationByName', 'LoadPublications']);

/**
 * Whether the server says that a publication is missing.
 *
 * @param said - of an error or a notice
 */
export function isAboutPublication({ code, routine }: Pick<Notice, 'code' | 'routine'>): boolean {
  return (code === '42704' || code === '55000') && ROUTINES.has(routine);
}

/**
 * The error of a run that met it.
 *
 * @param slotName - the slot
 * @param plugin - its plugin, with its publications
 * @param words - the server's message
 * @param cause - the error underneath
 */
export function publicationMissing(
  slotName: string,
  { publications }: Pick<SlotPlugin, 'publications'>,
  words: string,
  cause?: unknown,
): PipelineError {
  const names = publications.map((name) => `"${name}"`).join(', ');
  return new PipelineError(
    'PUBLICATION_MISSING',
    `Slot "${slotName}" holds changes from when a publication of it did not exist (PUBLICATIONS is ${names}): the server leaves out all rows of that time. PostgreSQL says: ${words}. Nothing was published and the slot was not advanced.`,
    { cause },
  );
}
