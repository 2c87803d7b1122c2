/** Equivalent mutants of lambda/transform/. */
import type { EquivalentMutants } from '../equivalent-mutants.ts';

export const TRANSFORM: readonly EquivalentMutants[] = [
  {
    file: 'lambda/transform/change-keys.ts',
    reason: 'It is set before anything reads it: keys are looked for before it is asked whether they move.',
    changes: [['#columns: readonly string[] = [];', '#columns: readonly string[] = ["Stryker was here"];']],
  },
  {
    file: 'lambda/transform/change-keys.ts',
    reason: 'A row of which everything was kept has no value that was not: it saves a look.',
    changes: [['oversizeBytes !== undefined &&', 'true &&']],
  },
  {
    file: 'lambda/transform/incomplete-row.ts',
    reason: 'Each value has a column.',
    changes: [
      [
        "if (tuple.kinds[i] === ValueKind.elided && !omitted.has(tuple.headers[i]?.printed ?? '')) return true;",
        'if (tuple.kinds[i] === ValueKind.elided && !omitted.has(tuple.headers[i]?.printed ?? "Stryker was here!")) ret...',
      ],
    ],
  },
  {
    file: 'lambda/transform/key-history-cache.ts',
    reason: 'Without an answer there is none about the table: it saves a look.',
    changes: [
      [
        'if (this.#stretches.size === 0 || !this.#tablePolicies.isKeyInDoubt(policy, transaction)) return policy;',
        'if (false || !this.#tablePolicies.isKeyInDoubt(policy, transaction)) return policy;',
      ],
    ],
  },
  {
    file: 'lambda/transform/key-history-cache.ts',
    reason: 'Of a table that is filtered, or is none, no key is in doubt: its changes do not come here.',
    changes: [
      [
        "policy.skip === 'noPrimaryKey' || (policy.skip === 'droppedTable' && !policy.hidden) ? undefined : policy.skip...",
        "policy.skip === 'noPrimaryKey' || (true && !policy.hidden) ? undefined : policy.skip;",
      ],
    ],
  },
  {
    file: 'lambda/transform/record-publisher.ts',
    reason: 'It is set before anything reads it.',
    changes: [
      [
        "table: { printed: '', schema: '', name: '' },",
        "table: { printed: \"Stryker was here!\", schema: '', name: '' },",
      ],
      [
        "table: { printed: '', schema: '', name: '' },",
        "table: { printed: '', schema: \"Stryker was here!\", name: '' },",
      ],
      [
        "table: { printed: '', schema: '', name: '' },",
        "table: { printed: '', schema: '', name: \"Stryker was here!\" },",
      ],
      ['truncated: false,', 'truncated: true,'],
    ],
  },
  {
    file: 'lambda/transform/row-key.ts',
    reason: 'Each part of a key has a name.',
    changes: [["const name = names[part] ?? '';", 'const name = names[part] ?? "Stryker was here!";']],
  },
  {
    file: 'lambda/transform/row-key.ts',
    reason: 'No other column has that name: it saves a search.',
    changes: [
      ['if (hint < tuple.count && tuple.headers[hint]?.printed === name) return hint;', 'if (false) return hint;'],
    ],
  },
  {
    file: 'lambda/transform/skipped-changes.ts',
    reason: 'It is set before anything reads it.',
    changes: [['#inDoubt = false;', '#inDoubt = true;']],
  },
  {
    file: 'lambda/transform/skipped-changes.ts',
    reason: 'Where positions decide nothing, no change is in doubt by its own: it saves a look.',
    changes: [
      [
        'if (reason !== undefined || policy.overlaps.length === 0 || transaction === undefined) return reason;',
        'if (reason !== undefined || false || transaction === undefined) return reason;',
      ],
    ],
  },
  {
    file: 'lambda/transform/skipped-changes.ts',
    reason: 'Where positions decide nothing, none has to be known: it saves a look.',
    changes: [['if (known.overlaps.length === 0) return [];', 'if (false) return [];']],
  },
  {
    file: 'lambda/transform/skipped-log.ts',
    reason: 'Each part of a key has a column.',
    changes: [
      [
        "const names = (key?.columns ?? []).map((column, part) => key?.tuples[part]?.headers[column]?.name ?? '?');",
        'const names = (key?.columns ?? []).map((column, part) => key?.tuples[part]?.headers[column]?.name ?? "");',
      ],
    ],
  },
  {
    file: 'lambda/transform/skipped-log.ts',
    reason: 'Where there is one table, it is the first.',
    changes: [["? `The table ${first[0] ?? ''} ${one}.`", '? `The table ${first[0] ?? "Stryker was here!"} ${one}.`']],
  },
  {
    file: 'lambda/transform/table-policies.ts',
    reason: "The first of a table's names is its own.",
    changes: [
      [
        "if (policy.keys[0]?.includes(header.printed) === true) throw keyExcluded(policy.names[0] ?? '', header.name);",
        'if (policy.keys[0]?.includes(header.printed) === true) throw keyExcluded(policy.names[0] ?? "Stryker was here!...',
      ],
    ],
  },
  {
    file: 'lambda/transform/table-policies.ts',
    reason: 'No table has the number NaN.',
    changes: [
      [
        'return oid !== undefined && this.#keys.byOid(Number(oid))?.schema === schema;',
        'return true && this.#keys.byOid(Number(oid))?.schema === schema;',
      ],
    ],
  },
  {
    file: 'lambda/transform/table-policies.ts',
    reason: 'Where the two are equal it does not matter which is taken.',
    changes: [
      [
        '(last, { until }) => (last === undefined || until > last ? until : last),',
        '(last, { until }) => (last === undefined || until >= last ? until : last),',
      ],
    ],
  },
  {
    file: 'lambda/transform/transaction-cursor.ts',
    reason: 'What a run has done itself needs no evidence: nothing reads it.',
    changes: [
      [
        "if (progress !== undefined) this.#resume = resumePosition(progress, '');",
        'if (progress !== undefined) this.#resume = resumePosition(progress, "Stryker was here!");',
      ],
    ],
  },
  {
    file: 'lambda/transform/transform.ts',
    reason: 'Nothing comes behind it.',
    changes: [["case 'ignored': return;", "case 'ignored':"]],
  },
  {
    file: 'lambda/transform/transform.ts',
    reason: 'No table has such a column: nothing moves by it.',
    changes: [
      [
        'this.#skipChange(change.table, policy, skip, keys.moves(change, policy.keys[0] ?? []) ? 2 : 1);',
        'this.#skipChange(change.table, policy, skip, keys.moves(change, policy.keys[0] ?? ["Stryker was here"]) ? 2 : ...',
      ],
    ],
  },
];
