/**
 * What belongs to an output plugin: how a slot of it is asked, and what decodes its rows. For the container; knows no
 * other setting.
 */
import { PgoutputDecoder } from './decode/pgoutput/decoder.ts';
import type { PluginDecoder } from './decode/plugin-decoder.ts';
import type { PluginName } from './decode/plugin-names.ts';
import { TestDecodingDecoder } from './decode/test-decoding/decoder.ts';
import { Wal2jsonDecoder } from './decode/wal2json/decoder.ts';
import { pgoutput, type SlotPlugin, testDecoding, wal2json } from './postgres/plugins.ts';
import { TypeNames } from './postgres/type-names.ts';

/** The parts of one plugin, to be kept from run to run. */
export interface PluginParts {
  readonly plugin: SlotPlugin;
  readonly decoder: PluginDecoder;
  /** What the decoder has to know of the server's types; undefined: nothing. */
  readonly typeNames: TypeNames | undefined;
}

/**
 * @param name - PLUGIN
 * @param publications - PUBLICATIONS, which pgoutput reads
 * @param maxRecordBytes - what the stream allows for a record
 * @param messages - whether logical messages are read; not with wal2json
 */
export function pluginParts(
  name: PluginName,
  publications: readonly string[],
  maxRecordBytes: number | undefined,
  messages = false,
): PluginParts {
  switch (name) {
    case 'test_decoding':
      return {
        plugin: testDecoding(messages),
        decoder: new TestDecodingDecoder(undefined, maxRecordBytes),
        typeNames: undefined,
      };
    case 'pgoutput': {
      const typeNames = new TypeNames();
      const decoder = new PgoutputDecoder(typeNames, undefined, maxRecordBytes);
      return { plugin: pgoutput(publications, messages), decoder, typeNames };
    }
    case 'wal2json': {
      const typeNames = new TypeNames();
      return { plugin: wal2json(), decoder: new Wal2jsonDecoder(typeNames, undefined, maxRecordBytes), typeNames };
    }
  }
}
