/** What `check` makes of publications, without a server: what is said is tried in plugins/publication-advice.pg.test.ts. */
import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { checkPublications } from '../../../lambda/health/publications-health.ts';
import type { PublicationFacts, PublishableTable } from '../../../lambda/publications.ts';
import { compilePatterns } from '../../../lambda/settings/filters.ts';

const PUBLICATION: PublicationFacts = { name: 'p', lacks: [], viaRoot: false, isNewerThanSlot: false };
const TABLE: PublishableTable = {
  name: 'public.t',
  sql: 'public.t',
  hasKey: true,
  hasIdentity: true,
  published: true,
  rowFilter: false,
  columnList: false,
  leavesOutKey: false,
};
const settings = (exclude = '') => ({
  publications: ['p'],
  filters: {
    tableInclude: compilePatterns(''),
    tableExclude: compilePatterns(exclude),
    columnExclude: compilePatterns(''),
  },
});

describe('checkPublications', () => {
  it('says nothing where the plugin reads none', () => {
    assert.deepEqual(checkPublications(undefined, settings()), []);
  });

  it('is content with a publication of every keyed table', () => {
    const tables = [TABLE, { ...TABLE, name: 'public.keyless', hasKey: false, published: false }];
    assert.deepEqual(checkPublications({ found: [PUBLICATION], tables }, settings()), [
      { check: 'publications', state: 'ok', found: 'p, 1 tables' },
    ]);
  });

  it('does not warn of a table that a filter takes out', () => {
    const tables = [{ ...TABLE, published: false }];
    const [warned] = checkPublications({ found: [PUBLICATION], tables }, settings());
    assert.equal(warned?.state, 'warning');
    assert.match(warned.todo ?? '', /ALTER PUBLICATION "p" ADD TABLE public\.t;/);
    const [finding] = checkPublications({ found: [PUBLICATION], tables }, settings('public\\.t'));
    assert.equal(finding?.state, 'ok');
  });

  for (const [what, found, tables] of [
    ['publish_via_partition_root', { ...PUBLICATION, viaRoot: true }, [TABLE]],
    ['does not publish UPDATE', { ...PUBLICATION, lacks: ['UPDATE'] }, [TABLE]],
    ['a row filter', PUBLICATION, [{ ...TABLE, rowFilter: true }]],
    ['a list of columns', PUBLICATION, [{ ...TABLE, columnList: true }]],
    ['since the oldest change', { ...PUBLICATION, isNewerThanSlot: true }, [TABLE]],
  ] as const) {
    it(`warns: ${what}`, () => {
      const findings = checkPublications({ found: [found], tables }, settings());
      assert.deepEqual(
        findings.map(({ state }) => state),
        ['warning'],
      );
      assert.ok(findings[0]?.found.includes(what), findings[0]?.found);
    });
  }

  it('is a fault where it lacks a part of a key, unless a filter takes the table out', () => {
    const tables = [{ ...TABLE, leavesOutKey: true }];
    const [fault] = checkPublications({ found: [PUBLICATION], tables }, settings());
    assert.equal(fault?.state, 'fault');
    assert.match(
      fault.found,
      /leaves out a column of the primary key of public\.t: its changes are counted as noReplica/,
    );
    const [finding] = checkPublications({ found: [PUBLICATION], tables }, settings('public\\.t'));
    assert.equal(finding?.state, 'ok');
  });

  it('looks at a partition by the lists that name the table above it', () => {
    const above = [{ name: 'public.t', ancestors: ['public.all'] }];
    const tables = [{ ...TABLE, leavesOutKey: true }];
    const listed = { tableInclude: compilePatterns('public\\.all'), tableExclude: [], columnExclude: [] };
    const included = { ...settings(), filters: listed };
    const [fault] = checkPublications({ found: [PUBLICATION], tables }, included, above);
    assert.equal(fault?.state, 'fault');
    const [left] = checkPublications(
      { found: [PUBLICATION], tables: [{ ...TABLE, published: false }] },
      included,
      above,
    );
    assert.match(left?.found ?? '', /are in no publication/);
    const [finding] = checkPublications({ found: [PUBLICATION], tables }, settings('public\\.all'), above);
    assert.equal(finding?.state, 'ok');
  });

  it('is a fault where the application fails by it, and where it is missing', () => {
    const [fault] = checkPublications({ found: [PUBLICATION], tables: [{ ...TABLE, hasIdentity: false }] }, settings());
    assert.equal(fault?.state, 'fault');
    const refused = (...lacks: string[]) =>
      checkPublications(
        { found: [{ ...PUBLICATION, lacks }], tables: [{ ...TABLE, hasKey: false, hasIdentity: false }] },
        settings(),
      ).find(({ state }) => state === 'fault')?.found;
    assert.match(refused('TRUNCATE') ?? '', /refuses every UPDATE and DELETE of public\.t/);
    assert.match(refused('DELETE') ?? '', /refuses every UPDATE of public\.t/);
    assert.equal(refused('UPDATE', 'DELETE'), undefined);
    const [missing] = checkPublications({ found: [], tables: [{ ...TABLE, published: false }] }, settings());
    assert.equal(missing?.state, 'missing');
    assert.match(missing.todo ?? '', /CREATE PUBLICATION "p" FOR ALL TABLES;.*before the slot/);
  });
});
