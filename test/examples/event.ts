/** A Lambda event with the stream's real bytes: changes through decoder, format and packer, some of them twice. */
import { Buffer } from 'node:buffer';
import { FORMATS } from '../../lambda/format/formats.ts';
import type { Compression } from '../../lambda/pack/compression.ts';
import type { LambdaRecord } from '../../lib/consumer/consumer.ts';
import { packAll } from '../lambda/pack/packer-fixtures.ts';
import { FORMAT_OPTIONS, recordOf, written } from '../support/changes.ts';

/** How many changes an event holds, repeats not counted. */
export const CHANGES = 200;

/**
 * Makes one.
 *
 * @param aggregation - how changes share a Kinesis record
 * @param compression - with `lines`
 * @param changes - how many
 * @param format - how they are written
 * @param rows - how many rows they are of
 * @returns the event, whose last Kinesis record comes twice, and the changes' texts in the order of the stream
 */
export function eventOf(
  aggregation: 'kpl' | 'lines' | 'none',
  compression: Compression = 'none',
  changes = CHANGES,
  format: 'json' | 'csv' | 'csv-payload' = 'json',
  rows = changes,
): {
  event: { Records: LambdaRecord[] };
  ids: Set<string>;
} {
  const ids = new Set<string>();
  const inputs = Array.from({ length: changes }, (_, at) => {
    const i = at % rows;
    const line = `table public.t: INSERT: id[integer]:${i} name[text]:'Zoë "${i}"\n'`;
    const text = written(FORMATS[format](FORMAT_OPTIONS), recordOf(line, { key: ['id'], ordinal: at + 1 }));
    if (format === 'json') ids.add((JSON.parse(text) as { id: string }).id);
    return { key: `public.t:${i}`, data: Buffer.from(text) };
  });
  const { rounds } = packAll({ aggregation, compression, lanes: 4, maxRecordBytes: 1_048_576 }, inputs);
  const Records = rounds
    .flatMap(({ entries }) => entries)
    .map(({ partitionKey, data }, i) => ({
      kinesis: { partitionKey, sequenceNumber: String(i), data: Buffer.from(data).toString('base64') },
    }));
  return { event: { Records: [...Records, ...Records.slice(-1)] }, ids };
}
