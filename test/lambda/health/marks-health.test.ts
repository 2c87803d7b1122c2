/** What `check` says of replicas. */
import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { checkFastCopies, checkMarks } from '../../../lambda/health/marks-health.ts';

describe('checkMarks', () => {
  it('names the setting that a replica needs, where there can be one', () => {
    const found = (format: 'json' | 'csv', aggregation: 'kpl' | 'none', marks: boolean) =>
      checkMarks({ format, aggregation, marks }).map(
        (finding) => `${finding.check} ${finding.state}: ${finding.found}`,
      );
    assert.deepEqual(found('json', 'kpl', true), ['replica ok: MARKS is on: "pg2kinesis replicate" can keep a copy']);
    assert.deepEqual(found('json', 'kpl', false), [
      'replica ok: MARKS is off: a copy by "pg2kinesis replicate" needs it on',
    ]);
    assert.deepEqual(found('csv', 'kpl', false), []);
    assert.deepEqual(found('json', 'none', false), []);
  });
});

describe('checkFastCopies', () => {
  const table = (name: string, key = ['id'], ancestors: string[] = []) => ({
    ...{ name, key, ancestors, partitioned: false, columns: [], deferrable: false },
    ...{ replicaIdentity: 'd', identityCoversKey: false },
  });
  const unfit = (name: string, over: object = {}) => ({ name, indexes: [], columns: [], isTriggered: false, ...over });
  const filters = { tableInclude: [], tableExclude: [/^(?:s\.left_out)$/], columnExclude: [] };
  const found = (names: readonly ReturnType<typeof unfit>[], tables = names.map(({ name }) => table(name))) =>
    checkFastCopies(names, tables, { filters }).map(({ state, found: text }) => `${state}: ${text}`);

  it('names the tables that are refused, and why, as a note', () => {
    const both = unfit('s.a', { indexes: ['a_b_key', 'a_c_key'], columns: ['id numeric'], isTriggered: true });
    assert.deepEqual(found([both, unfit('s.t', { isTriggered: true })]), [
      'ok: refuses, if they are the same at the copy: s.a (unique besides the key: a_b_key, a_c_key; equal keys can differ as text: id numeric). ' +
        'Its user needs the right to set session_replication_role, or the copy no foreign keys and triggers, for: s.a, s.t',
    ]);
    assert.deepEqual(found([]), ['ok: refuses no table']);
  });

  it('warns where the server did not tell, which says nothing against the source', () => {
    const [finding, ...others] = checkFastCopies('57014', [table('s.t')], { filters });
    assert.deepEqual(others, []);
    assert.equal(finding?.state, 'warning');
    assert.match(finding.found, /could not be found out.*57014/);
    assert.match(finding.todo ?? '', /where you want no such copy/);
  });

  it('says nothing of tables that are not published', () => {
    const index = { indexes: ['i'] };
    assert.deepEqual(
      found(
        [unfit('s.left_out', index), unfit('s.keyless', index), unfit('s.unknown', index)],
        [table('s.left_out'), table('s.keyless', [])],
      ),
      ['ok: refuses no table'],
    );
  });

  it('stays short, however many there are', () => {
    const many = Array.from({ length: 5_000 }, (_, i) => unfit(`s.t${i}`, { indexes: ['a', 'b'], isTriggered: true }));
    const [text = ''] = found(many);
    assert.match(text, / and 4980 more\. Its user .* and 4980 more$/);
    assert.ok(text.length < 2_500, String(text.length));
  });
});
