/** The output plugins that there is a decoder for. Knows nothing of what they say. */

/** Their names, as `pg_replication_slots` has them, and as PLUGIN takes them. */
export const PLUGIN_NAMES = ['test_decoding', 'pgoutput', 'wal2json'] as const;

/** A plugin's name. */
export type PluginName = (typeof PLUGIN_NAMES)[number];

/**
 * Whether a slot of that plugin can be read.
 *
 * @param name - a slot's plugin, as the server has it
 */
export function isReadablePlugin(name: string | undefined): name is PluginName {
  return PLUGIN_NAMES.some((known) => known === name);
}
