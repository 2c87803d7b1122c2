/**
 * Which settings are in force, and where each came from: for `check`, so that a setting that was never read is seen.
 * Pure. Shows no secret (I10): only values that passed their check come here.
 */
import { type SettingName, SETTINGS } from './settings-table.ts';

/** One setting. */
export interface EffectiveSetting {
  readonly name: string;
  /** Its text. Of a secret, and of a text of several lines, only that it is set. */
  readonly value: string;
  readonly from: 'environment' | 'default' | 'secret' | 'STREAM_NAME';
}

/**
 * Lists the settings that have a value, in the order of the settings' table.
 *
 * @param env - the environment's variables, already found good
 */
export function effectiveSettings(env: Readonly<Record<string, string | undefined>>): EffectiveSetting[] {
  const list: EffectiveSetting[] = [];
  for (const name of Object.keys(SETTINGS) as SettingName[]) {
    const { secret, default: fallback } = SETTINGS[name];
    const given = env[name] ?? '';
    if (given !== '') {
      // PGSSLROOTCERT may be a certificate's text.
      const hidden = secret || given.includes('\n');
      list.push({ name, value: hidden ? '(set)' : given, from: 'environment' });
    } else if (fallback !== undefined && fallback !== '') {
      list.push({ name, value: fallback, from: 'default' });
    }
  }
  return list;
}

/** What the secret and the stream's ARN say besides. */
export interface Elsewhere {
  /** What was used to log in; undefined: it is not known. */
  readonly login:
    { readonly host: string; readonly port: number; readonly database: string; readonly user: string } | undefined;
  readonly fromSecret: boolean;
  readonly slot: string;
  /** The region in the stream's ARN. */
  readonly streamRegion: string | undefined;
  /** The region that is used; undefined: there is none. */
  readonly region: string | undefined;
}

/**
 * Adds what is in force and is in no variable of its own.
 *
 * @param list - from {@link effectiveSettings}
 * @param elsewhere - what else was found
 */
export function withFound(
  list: readonly EffectiveSetting[],
  { login, fromSecret, slot, streamRegion, region }: Elsewhere,
): EffectiveSetting[] {
  const found: EffectiveSetting[] = [];
  const add = (name: string, value: string | number | undefined, from: EffectiveSetting['from']): void => {
    if (value !== undefined && !list.some((each) => each.name === name)) found.push({ name, value: `${value}`, from });
  };
  if (login !== undefined) {
    const from = fromSecret ? 'secret' : 'default';
    add('PGHOST', login.host, from);
    // The secret may have none: then it is the default that the secret's would be, too.
    add('PGPORT', login.port, from);
    add('PGDATABASE', login.database, from);
    add('PGUSER', login.user, from);
    add('SOURCE_NAME', `${login.database}/${slot}`, 'default');
  }
  if (region !== undefined) {
    found.push({ name: 'AWS_REGION', value: region, from: streamRegion === undefined ? 'environment' : 'STREAM_NAME' });
  }
  return [...list, ...found];
}
