/** What statements say of each plugin: options, data and what ends a transaction, by encoding and version. */
import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { forgetSent, pgoutput, supportsSnapshots, testDecoding, wal2json } from '../../../lambda/postgres/plugins.ts';
import { refusal, scriptedServer } from './scripted-server.ts';

describe('test_decoding', () => {
  it('has empty transactions shown where messages are read', () => {
    assert.match(testDecoding(false).options, /'skip-empty-xacts', '1'$/);
    assert.match(testDecoding(true).options, /'skip-empty-xacts', '0'$/);
    assert.equal(testDecoding(false).allTransactions(180000), `'skip-empty-xacts', '0'`);
  });

  it('sends of messages their first word, unless they are a snapshot’s, or are read', () => {
    assert.equal(
      testDecoding(false).data('UTF8'),
      `CASE WHEN p.data >= 'message:'::bytea AND p.data < 'message;'::bytea THEN CASE WHEN substring(p.data FROM 1 FOR 50) = 'message: transactional: 0 prefix: pg2kinesis, sz: '::bytea THEN p.data ELSE 'message:'::bytea END ELSE p.data END`,
    );
    assert.equal(testDecoding(true).data('UTF8'), 'p.data');
    assert.equal(testDecoding(true).data('SQL_ASCII'), 'p.data');
  });

  it('is converted to UTF-8 where it is another encoding: of a message all that is text', () => {
    assert.match(testDecoding(false).data('LATIN1'), /ELSE convert\(p\.data, 'LATIN1', 'UTF8'\) END$/);
    assert.match(testDecoding(false).data('SQL_ASCII'), /ELSE p\.data END$/);
    assert.equal(
      testDecoding(true).data('LATIN1'),
      `CASE WHEN p.data >= 'message:'::bytea AND p.data < 'message;'::bytea THEN convert(substring(p.data FROM 1 FOR position(', sz: '::bytea IN p.data) - 1), 'LATIN1', 'UTF8') || substring(p.data FROM position(', sz: '::bytea IN p.data)) ELSE convert(p.data, 'LATIN1', 'UTF8') END`,
    );
  });
});

describe('wal2json', () => {
  const READ = 'pg_logical_slot_peek_binary_changes';
  const prepared = async (...answers: Parameters<typeof scriptedServer>[0]) => {
    const plugin = wal2json();
    const script = scriptedServer(answers);
    const connection = { ...script.client, versionNum: 160000 };
    const before = plugin.options;
    await plugin.prepare?.(connection, "it's");
    const first = plugin.options;
    await plugin.prepare?.(connection, "it's");
    return { before, first, after: plugin.options, sent: script.sent };
  };
  const NUMBERS = `, 'numeric-data-types-as-string', '1'`;

  it('is asked once whether it has numbers as text, by a reading that ends at the first record', async () => {
    const { before, first, after, sent } = await prepared();
    assert.equal(
      before,
      `'format-version', '2', 'include-xids', '1', 'include-timestamp', '1', 'include-types', '0', 'include-type-oids', '1', 'include-pk', '1', 'add-msg-prefixes', 'pg2kinesis-none'`,
    );
    assert.deepEqual([first, after], [before + NUMBERS, before + NUMBERS]);
    assert.deepEqual(
      sent.map(({ text }) => text),
      [`SELECT count(*) FROM ${READ}('it''s', '0/1', NULL, ${before}${NUMBERS})`],
    );
  });

  it('that does not know the option is read without, and is not asked again', async () => {
    const { before, first, sent } = await prepared([READ, refusal('22023')]);
    assert.deepEqual([first, sent.length], [before, 1]);
  });

  it('is asked again where the reading failed for another reason', async () => {
    const { before, after, sent } = await prepared([READ, refusal('55006')]);
    assert.deepEqual([after, sent.length], [before, 2]);
  });

  it('sends what is behind the action, in UTF-8, and shows every end where no table is asked for', () => {
    const plugin = wal2json();
    assert.equal(plugin.data('UTF8'), 'substr(p.data, 12)');
    assert.equal(plugin.data('LATIN1'), `convert(substr(p.data, 12), 'LATIN1', 'UTF8')`);
    assert.equal(plugin.endsTransaction, `substr(p.data, 1, 12) = '{"action":"C'::bytea`);
    assert.equal(plugin.allTransactions(180000), `'format-version', '2', 'add-tables', 'pg2kinesis-none.none'`);
    assert.deepEqual(
      [plugin.remembersSent, plugin.messages, plugin.publications, plugin.replicationOptions],
      [false, false, [], ''],
    );
  });
});

describe('pgoutput', () => {
  it('has its publications quoted, in a statement and in the replication protocol', () => {
    const { options, replicationOptions, publications, remembersSent } = pgoutput(['cdc', `It's "x"`]);
    assert.equal(options, `'proto_version', '1', 'publication_names', '"cdc","It''s ""x"""'`);
    assert.equal(replicationOptions, `(proto_version '1', publication_names '"cdc","It''s ""x"""')`);
    assert.deepEqual([publications, remembersSent], [['cdc', `It's "x"`], true]);
  });

  it('sends messages where they are asked for, or the server can', async () => {
    const MESSAGES = `, 'messages', 'true'`;
    assert.ok(pgoutput(['a'], true).options.endsWith(MESSAGES));
    for (const [versionNum, sends] of [
      [130000, false],
      [140000, true],
    ] as const) {
      const plugin = pgoutput(['a']);
      await plugin.prepare?.({ ...scriptedServer([]).client, versionNum }, 's');
      assert.equal(plugin.options.endsWith(MESSAGES), sends);
    }
  });

  it('shows the end of every transaction before 15 only', () => {
    assert.equal(pgoutput(['a']).allTransactions(149999), pgoutput(['a']).options);
    assert.equal(pgoutput(['a']).allTransactions(150000), undefined);
  });

  it('forgets what it has sent by a reading that ends at the first record', () => {
    const plugin = pgoutput(['a']);
    assert.equal(
      forgetSent("it's", plugin),
      `SELECT count(*) FROM pg_logical_slot_peek_binary_changes('it''s', '0/1', NULL, ${plugin.options})`,
    );
  });
});

describe('a snapshot', () => {
  it('takes a plugin that shows messages', () => {
    assert.deepEqual(
      [
        supportsSnapshots('test_decoding', 100000),
        supportsSnapshots('pgoutput', 139999),
        supportsSnapshots('pgoutput', 140000),
        supportsSnapshots('wal2json', 180000),
      ],
      [true, false, true, false],
    );
  });
});
