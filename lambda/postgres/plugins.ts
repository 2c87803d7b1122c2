/**
 * The output plugins, as statements see them: how each is asked, which of its rows end a transaction, and how its data
 * gets here as UTF-8. What its rows say is its decoder's to know (`decode/`).
 */
import pg from 'pg';
import type { PluginName } from '../decode/plugin-names.ts';
import { SNAPSHOT_MESSAGE_PREFIX } from '../snapshot/snapshot-message.ts';
import { codeOf } from './error-context.ts';
import type { Queryable } from './status-queries.ts';

/** How a slot of one plugin is read. */
export interface SlotPlugin {
  readonly name: PluginName;
  /** The publications that the slot's changes are taken from; empty where the plugin knows none. */
  readonly publications: readonly string[];
  /** Whether logical messages are read. */
  readonly messages: boolean;
  /** The options of the functions that read, as SQL: names and values in turn. */
  readonly options: string;
  /**
   * Finds out which options the plugin of the server has, once. Called before the first reading.
   *
   * @param connection - to the slot's database
   * @param slotName - the slot, locked and found good
   * @default nothing has to be found out
   */
  prepare?(connection: Queryable & { readonly versionNum: number }, slotName: string): Promise<void>;
  /** The same for START_REPLICATION, in its own notation; empty: it needs none. */
  readonly replicationOptions: string;
  /**
   * The options with which the end of every transaction is shown, whatever it has changed.
   *
   * @param versionNum - the server's, as `server_version_num` gives it
   * @returns as SQL; undefined: the plugin cannot
   */
  allTransactions(versionNum: number): string | undefined;
  /** Whether the plugin keeps in the session what it has sent, also after a reading that failed: see {@link forgetSent}. */
  readonly remembersSent: boolean;
  /** SQL: whether the row `p.data` ends a transaction. Its `p.lsn` is then the transaction's commit LSN. */
  readonly endsTransaction: string;
  /** SQL: when the transaction was committed that the row `p.data` ends, as the server prints it. */
  readonly commitTime: string;
  /**
   * SQL: what is sent of the row `p.data`.
   *
   * @param encoding - the database's, as PostgreSQL names it
   */
  data(encoding: string): string;
}

const IS_MESSAGE = `p.data >= 'message:'::bytea AND p.data < 'message;'::bytea`;

/** What a snapshot has written: its messages are always read. */
const OWN = `message: transactional: 0 prefix: ${SNAPSHOT_MESSAGE_PREFIX}, sz: `;
const IS_OWN = `substring(p.data FROM 1 FOR ${OWN.length}) = '${OWN}'::bytea`;

/**
 * Needs nothing on the server.
 *
 * @param messages - whether logical messages are read
 * @returns how a slot of test_decoding is read
 */
export function testDecoding(messages: boolean): SlotPlugin {
  return {
    name: 'test_decoding',
    publications: [],
    messages,
    // xids and times. Nothing of transactions that changed nothing; but then, up to 16, a message that comes before its
    // transaction's first row is printed before BEGIN, and one of a transaction of messages alone without BEGIN.
    options: `'include-xids', '1', 'include-timestamp', '1', 'skip-empty-xacts', '${messages ? 0 : 1}'`,
    replicationOptions: '',
    allTransactions: () => `'skip-empty-xacts', '0'`,
    remembersSent: false,
    endsTransaction: `p.data >= 'COMMIT'::bytea AND p.data < 'COMMIU'::bytea`,
    commitTime: String.raw`substring(encode(p.data, 'escape') FROM '\(at (.*)\)$')`,
    data(encoding) {
      const data = inUtf8('p.data', encoding);
      // Cut to its first word: its content can be of any size.
      if (!messages)
        return `CASE WHEN ${IS_MESSAGE} THEN CASE WHEN ${IS_OWN} THEN p.data ELSE 'message:'::bytea END ELSE ${data} END`;
      if (data === 'p.data') return data;
      // The prefix is text, the content is in no encoding: what is before the first size is converted.
      const size = `position(', sz: '::bytea IN p.data)`;
      return `CASE WHEN ${IS_MESSAGE} THEN ${inUtf8(`substring(p.data FROM 1 FOR ${size} - 1)`, encoding)} || substring(p.data FROM ${size}) ELSE ${data} END`;
    },
  };
}

/** The default. */
export const TEST_DECODING = testDecoding(false);

/** SQL: a plugin's text. SQL_ASCII is bytes of unknown meaning, which no server converts: each row is checked to be UTF-8 on arrival. */
function inUtf8(data: string, encoding: string): string {
  const convert = encoding !== 'UTF8' && encoding !== 'SQL_ASCII';
  return convert ? `convert(${data}, ${pg.escapeLiteral(encoding)}, 'UTF8')` : data;
}

/** What each line of wal2json begins with, before the letter of its action. */
const ACTION = '{"action":"';

const WAL2JSON_OPTIONS = `'format-version', '2', 'include-xids', '1', 'include-timestamp', '1', 'include-types', '0', 'include-type-oids', '1', 'include-pk', '1', 'add-msg-prefixes', 'pg2kinesis-none'`;

/** From 2.6 on: numbers as strings, NaN and infinities among them, which are null otherwise. */
const WAL2JSON_NUMBERS = `${WAL2JSON_OPTIONS}, 'numeric-data-types-as-string', '1'`;

/** What an output plugin answers to an option that it does not know. */
const UNKNOWN_OPTION = '22023';

/**
 * One JSON object a row, with the type's number of each column, and the primary key at write time. It needs wal2json 2.4 or
 * later on the server.
 *
 * @returns how a slot of wal2json is read
 */
export function wal2json(): SlotPlugin {
  let options: string | undefined;
  return {
    name: 'wal2json',
    publications: [],
    messages: false,
    get options() {
      return options ?? WAL2JSON_OPTIONS;
    },
    async prepare(connection, slotName) {
      if (options !== undefined) return;
      // It ends at the first record of WAL.
      const read = `SELECT count(*) FROM pg_logical_slot_peek_binary_changes(${pg.escapeLiteral(slotName)}, '0/1', NULL, ${WAL2JSON_NUMBERS})`;
      options = await connection.query(read).then(
        () => WAL2JSON_NUMBERS,
        // Whatever else it is, the reading itself will say.
        (error: unknown) => (codeOf(error) === UNKNOWN_OPTION ? WAL2JSON_OPTIONS : undefined),
      );
    },
    replicationOptions: '',
    // No table has that name.
    allTransactions: () => `'format-version', '2', 'add-tables', 'pg2kinesis-none.none'`,
    remembersSent: false,
    endsTransaction: `substr(p.data, 1, ${ACTION.length + 1}) = '${ACTION}C'::bytea`,
    commitTime: `substring(encode(p.data, 'escape') FROM '"timestamp":"([^"]*)"')`,
    // The letter of the action comes first: the peek knows a COMMIT by its C.
    data: (encoding) => inUtf8(`substr(p.data, ${ACTION.length + 1})`, encoding),
  };
}

/** Since 14 pgoutput has messages. */
const MESSAGES_SINCE = 140_000;
/** Since 15 pgoutput says nothing of a transaction that has changed no published row. */
const EMPTY_LEFT_OUT_SINCE = 150_000;

/**
 * Whether tables can be read beside a slot of that plugin: its reading has to show the messages that say how far that is.
 *
 * @param name - the plugin
 * @param versionNum - the server's, as `server_version_num` gives it
 */
export function supportsSnapshots(name: PluginName, versionNum: number): boolean {
  return name === 'test_decoding' || (name === 'pgoutput' && versionNum >= MESSAGES_SINCE);
}

/**
 * Changes of publications. Its texts are in client_encoding already, names too.
 *
 * @param publications - unquoted, 1 or more
 * @param messages - whether logical messages are read (from PostgreSQL 14 on)
 * @returns how a slot of pgoutput is read
 */
export function pgoutput(publications: readonly string[], messages = false): SlotPlugin {
  // An identifier list: each name is folded to lower case unless it is quoted.
  const list = publications.map((name) => pg.escapeIdentifier(name)).join(',');
  const options = `'proto_version', '1', 'publication_names', ${pg.escapeLiteral(list)}`;
  let sendsMessages = messages;
  return {
    name: 'pgoutput',
    publications,
    messages,
    // Version 1 sends a transaction whole, after its commit, a prepared one at COMMIT PREPARED: as test_decoding does.
    get options() {
      return sendsMessages ? `${options}, 'messages', 'true'` : options;
    },
    prepare({ versionNum }) {
      // It sends all or none, and those of a snapshot have to be read.
      sendsMessages ||= versionNum >= MESSAGES_SINCE;
      return Promise.resolve();
    },
    replicationOptions: `(proto_version '1', publication_names ${pg.escapeLiteral(list)})`,
    allTransactions: (versionNum) => (versionNum < EMPTY_LEFT_OUT_SINCE ? options : undefined),
    remembersSent: true,
    // After the kind, flags and two LSNs: microseconds since 2000.
    commitTime: `(timestamptz '2000-01-01 00:00:00+00' + ('x' || encode(substring(p.data FROM 19 FOR 8), 'hex'))::bit(64)::bigint * interval '1 microsecond')::text`,
    // Not get_byte: a message may be empty.
    endsTransaction: `p.data >= 'C'::bytea AND p.data < 'D'::bytea`,
    data: () => 'p.data',
  };
}

/**
 * The statement that makes a plugin forget what it has sent in this session. Up to 14 pgoutput forgets it only at the end
 * of a reading that succeeds: after one that failed or was cancelled, the next would not tell again of the tables that it
 * has told of. So one has to succeed: this one ends at the first record of WAL.
 *
 * @param slotName - the slot
 * @param plugin - its plugin
 */
export function forgetSent(slotName: string, plugin: SlotPlugin): string {
  return `SELECT count(*) FROM pg_logical_slot_peek_binary_changes(${pg.escapeLiteral(slotName)}, '0/1', NULL, ${plugin.options})`;
}
