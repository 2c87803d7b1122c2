/**
 * Small wrong changes that are known by name. Each once passed all tests, and each has a test that fails with it now.
 *
 * `npm run test:mutants -- named` makes them one at a time and runs that test, which must fail. `npm test` sees to it that
 * the code which a row names is still there, and the test.
 */

/** One wrong change, and the test that must see it. */
export interface NamedMutant {
  /** What the product does with it. */
  readonly effect: string;
  /** The file, from the root. */
  readonly file: string;
  /** The code as it is; it is there once. */
  readonly code: string;
  /** What is put in its place. */
  readonly wrong: string;
  /** The test file, from the root. */
  readonly tests: string;
  /** The name of the test, without those of its suites; or the beginning of the names of several. */
  readonly test: string;
  /** A server version that the test needs, because others do not come by. @default what the tests run on */
  readonly postgres?: string;
}

export const NAMED_MUTANTS: readonly NamedMutant[] = [
  {
    effect: 'A DELETE under REPLICA IDENTITY FULL shows a column that COLUMN_EXCLUDE_LIST names.',
    file: 'lambda/transform/transform.ts',
    code: '    plans.excludeColumns(plan, change.oldTuple);\n',
    wrong: '',
    tests: 'test/lambda/transform/transform.test.ts',
    test: 'I10: shows an excluded column in no half of any operation',
  },
  {
    effect: 'The body of PutRecords is cut short when keys are of control characters.',
    file: 'lambda/kinesis/request-body.ts',
    code: 'partitionKey.length * 6',
    wrong: 'partitionKey.length',
    tests: 'test/lambda/kinesis/request-body.test.ts',
    test: 'has room for keys whose every character is escaped',
  },
  {
    effect: 'The cause of an error, which may hold a row, is logged by Lambda.',
    file: 'lambda/telemetry/error-report.ts',
    code: 'enumerable: false',
    wrong: 'enumerable: true',
    tests: 'test/lambda/telemetry/telemetry.test.ts',
    test: 'I10: keeps a cause out of sight: Lambda logs every enumerable property',
  },
  {
    effect: 'A run advances the slot after it has lost the lock.',
    file: 'lambda/run/run.ts',
    code: '    if (session.lost.aborted) return;\n',
    wrong: '',
    tests: 'test/lambda/run/run-recovery.test.ts',
    test: 'I6: advances nothing once the lock is lost',
  },
  {
    effect: 'A run goes on inside another transaction, whose LSN and time are the same.',
    file: 'lambda/decode/position.ts',
    code: 'position.xid === transaction.xid',
    wrong: 'true',
    tests: 'test/lambda/decode/position.test.ts',
    test: 'I1: is of that transaction, and of none that differs in LSN, xid or time',
  },
  {
    effect: 'A run advances once in mid-batch, and never again.',
    file: 'lambda/run/advancer.ts',
    code: '    this.#inFlight = undefined;\n',
    wrong: '',
    tests: 'test/lambda/run/advancer.test.ts',
    test: 'advances again and again in mid-batch, each time that it is worth it',
  },
  {
    effect: 'After a peek of messages only, every later peek has no row limit.',
    file: 'lambda/run/peek-planner.ts',
    code: '  read(): void {\n    this.#ignoreRowLimit = false;',
    wrong: '  read(): void {\n    ',
    tests: 'test/lambda/run/run-recovery.test.ts',
    test: 'asks for rows again, with a limit, behind messages that took a peek without one',
  },
  {
    effect: 'A run keeps time for one advance in place of two.',
    file: 'lambda/run/run.ts',
    code: 'ANSWER_MS - 2 * this.#advancer.costMs',
    wrong: 'ANSWER_MS - this.#advancer.costMs',
    tests: 'test/lambda/run/run-bounds.test.ts',
    test: 'I7: answers in time though its last round takes all of its time, and two advances follow',
  },
  {
    effect: 'A run advances each second, whatever an advance costs.',
    file: 'lambda/run/advancer.ts',
    code: 'Math.max(MIN_INTERVAL_MS, MIN_WORK_PER_ADVANCE_COST * this.costMs)',
    wrong: 'MIN_INTERVAL_MS',
    tests: 'test/lambda/run/advancer.test.ts',
    test: 'waits for ten times the cost of the dearest one',
  },
  {
    effect: 'A run keeps as much time as the newest advance took, not the slowest.',
    file: 'lambda/run/advancer.ts',
    code: 'Math.max(this.costMs, this.#lastEnd - begun)',
    wrong: 'this.#lastEnd - begun',
    tests: 'test/lambda/run/advancer.test.ts',
    test: 'waits for ten times the cost of the dearest one',
  },
  {
    effect: 'A run keeps as much time as the newest round took, not the slowest.',
    file: 'lambda/run/publish-queue.ts',
    code: 'Math.max(this.slowestMs, clock.now() - begun)',
    wrong: 'clock.now() - begun',
    tests: 'test/lambda/run/publish-queue.test.ts',
    test: 'remembers the slowest round, not the newest: the run reserves time for two like it',
  },
  {
    effect: 'A run that published tells no cause of an earlier refusal.',
    file: 'lambda/run/publish-queue.ts',
    code: 'result.lastFailure ?? this.lastFailure',
    wrong: 'result.lastFailure',
    tests: 'test/lambda/run/publish-queue.test.ts',
    test: 'remembers the last refusal also when later requests were taken',
  },
  {
    effect: 'A run that fails leaves an old position in memory, which the next run takes.',
    file: 'lambda/run/run.ts',
    code: '    memory.resume = undefined;\n',
    wrong: '',
    tests: 'test/lambda/run/run-bounds.test.ts',
    test: 'I1: that lost the lock leaves no position behind in memory',
  },
  {
    effect: 'A run that has read batches takes the deadline of the function.',
    file: 'lambda/run/run.ts',
    code: 'this.#batchCount === 0 && (next',
    wrong: '(next',
    tests: 'test/lambda/run/run-bounds.test.ts',
    test: 'I7: that has published takes no longer because a later peek does not finish',
  },
  {
    effect: 'A position is kept after the COMMIT of its transaction.',
    file: 'lambda/run/resume-keeper.ts',
    code: 'boundary === undefined ? resume : undefined',
    wrong: 'resume',
    tests: 'test/lambda/run/run-progress.test.ts',
    test: 'I1: is gone once its transaction is',
  },
  {
    effect: 'lagSeconds is the age of the newest transaction.',
    file: 'lambda/run/batch.ts',
    code: 'this.#oldest ??= transaction',
    wrong: 'this.#oldest = transaction',
    tests: 'test/lambda/run/run-bounds.test.ts',
    test: 'tells as lag the age of the first transaction that is not published whole',
  },
  {
    effect: 'A run that is told to stop goes on to the end of its block.',
    file: 'lambda/run/batch.ts',
    code: "        if (stopRequested && message.kind === 'begin') return 'deadline';\n",
    wrong: '',
    tests: 'test/lambda/run/run-bounds.test.ts',
    test: 'that has to stop in mid-transaction finishes it, and begins no other',
  },
  {
    effect: 'A long run without progress is called healthy.',
    file: 'lambda/run/heartbeat.ts',
    code: '    if (!progressed) return;\n',
    wrong: '',
    tests: 'test/lambda/run/heartbeat.test.ts',
    test: 'tells of each minute with progress, of none without',
  },
  {
    effect: 'The body of a request that timed out is overwritten while the connection may still send it.',
    file: 'lambda/kinesis/publisher.ts',
    code: '    body.forget();\n',
    wrong: '',
    tests: 'test/lambda/kinesis/publisher.test.ts',
    test: 'I6: does not write to the buffer of a request that failed: its connection may still read it',
  },
  {
    effect: 'A round released twice has its buffer lent twice.',
    file: 'lambda/pack/writer-pool.ts',
    code: '    this.#lent.delete(round);\n',
    wrong: '',
    tests: 'test/lambda/pack/writer-pool.test.ts',
    test: 'lends a writer to one round at a time, though it be released twice',
  },
  {
    effect: 'A change whose key was not sent is counted as of a table without a key.',
    file: 'lambda/transform/change-keys.ts',
    code: "      unsent ||= located === 'unsent';\n",
    wrong: '',
    tests: 'test/lambda/transform/transform.test.ts',
    test: 'counts an UPDATE whose key was not sent at all',
  },
  {
    effect: 'A table that is gone and never had a key is counted as dropped.',
    file: 'lambda/transform/table-policies.ts',
    code: "key.length > 0) ? undefined : 'noPrimaryKey'",
    wrong: "key.length > 0) ? undefined : 'droppedTable'",
    tests: 'test/lambda/transform/transform.test.ts',
    test: 'counts what is left of a dropped table that never had a key as of a table without one',
  },
  {
    effect: 'The smallest window by rows is the end, though its WAL can be less.',
    file: 'lambda/run/peek-limits.ts',
    code: 'window.rows <= MIN_ROWS && spanBytes <= MIN_WAL_BYTES',
    wrong: 'window.rows <= MIN_ROWS',
    tests: 'test/lambda/run/peek-limits.test.ts',
    test: 'does not make a window of few rows larger by halving it',
  },
  {
    effect: 'The smallest window by WAL is the end, though its rows can be less.',
    file: 'lambda/run/peek-limits.ts',
    code: 'window.rows <= MIN_ROWS && spanBytes <= MIN_WAL_BYTES',
    wrong: 'spanBytes <= MIN_WAL_BYTES',
    tests: 'test/lambda/run/peek-limits.test.ts',
    test: 'halves, from what was really asked for, down to a least window',
  },
  {
    effect: 'skip-transaction finds nothing behind many messages.',
    file: 'lambda/run/skip-first-transaction.ts',
    code: 'limit === undefined || first.rows < limit',
    wrong: 'first.rows >= 0',
    tests: 'test/lambda/run/skip-first-transaction.test.ts',
    test: 'finds the first transaction behind many messages that are outside of any',
  },
  {
    effect: 'skip-transaction looks again for what a whole peek does not hold.',
    file: 'lambda/run/skip-first-transaction.ts',
    code: 'limit === undefined || first.rows < limit',
    wrong: 'limit === undefined',
    tests: 'test/lambda/run/skip-first-transaction.test.ts',
    test: 'looks no further than the end of',
  },
  {
    effect: 'A cancellation that strikes behind the first row ends the run with an error of the server.',
    file: 'lambda/postgres/peek.ts',
    code: '(this.firstRowMs === undefined || this.#copy.cancelled)',
    wrong: 'this.firstRowMs === undefined',
    tests: 'test/lambda/postgres/peek-stream.test.ts',
    test: 'asks for less, though it strikes behind the first row',
  },
  {
    effect: 'A COMMIT at another LSN than was told is taken.',
    file: 'lambda/postgres/peek.ts',
    code: '!isItsOwn || transaction.commitLsn !== this.#in.lsn()',
    wrong: '!isItsOwn',
    tests: 'test/lambda/postgres/peek-stream.test.ts',
    test: 'I1: fails where a COMMIT is not at the LSN that was told of it',
  },
  {
    effect: 'A peek that ends without transactions that it told of is taken.',
    file: 'lambda/postgres/peek.ts',
    code: ' || !this.#commits.empty',
    wrong: '',
    tests: 'test/lambda/postgres/peek-stream.test.ts',
    test: 'I1: fails where transactions are missing that were told of',
  },
  {
    effect: 'A cancellation of one peek hits the next statement.',
    file: 'lambda/postgres/copy-to-stdout.ts',
    code: '    await this.#cancelled;\n',
    wrong: '',
    tests: 'test/lambda/postgres/peek-stream.test.ts',
    test: 'is over before the next statement: close waits for it',
  },
  {
    effect: 'A backend of another name, which has the process id by now, is ended.',
    file: 'lambda/postgres/slot-lock.ts',
    code: 'pid = $1 AND application_name = $2',
    wrong: 'pid = $1 AND $2::text IS NOT NULL',
    tests: 'test/lambda/postgres/session.pg.test.ts',
    test: 'I6: a backend that got the process id of a holder past its end, under another name, is not ended',
  },
  {
    effect: 'A statement of the second connection outlives the deadline.',
    file: 'lambda/postgres/lock-monitor.ts',
    code: '  destroyControl(msUntilTimeout);\n',
    wrong: '',
    tests: 'test/lambda/postgres/lock-monitor.test.ts',
    test: 'I7: closes both connections half a second after the deadline where the server does not answer',
  },
  {
    effect: 'A server that does not answer keeps a run past its end.',
    file: 'lambda/postgres/connection.ts',
    code: '  closeAt(client, leaseExpiresAt(options), clock);\n',
    wrong: '',
    tests: 'test/lambda/postgres/connection.pg.test.ts',
    test: 'closes by itself when its time is over, though the server does not answer',
  },
  {
    effect: 'money follows the lc_monetary of the role.',
    file: 'lambda/postgres/session-settings.ts',
    code: "    ['lc_monetary', 'C'],\n",
    wrong: '',
    tests: 'test/lambda/postgres/session-settings.pg.test.ts',
    test: 'are all pinned, or harmless for a reason',
  },
  {
    effect: 'A new replica identity goes unseen.',
    file: 'lambda/postgres/table-queries.ts',
    code: "    ${digest('indexrelid, indrelid, indislive, indkey', 'pg_index WHERE indisreplident')},\n",
    wrong: '',
    tests: 'test/lambda/postgres/primary-key-cache.pg.test.ts',
    test: 'are read again when ',
  },
  {
    effect: 'A schema that is renamed goes unseen.',
    file: 'lambda/postgres/table-queries.ts',
    code: "${virtuals ? digest('attrelid, attnum, attname', \"pg_attribute WHERE attgenerated = 'v' AND NOT attisdropped\") : \"''\"},\n    ${digest('oid, nspname', \"pg_namespace WHERE nspname !~ '^pg_(temp|toast_temp)_'\")}) AS print",
    wrong:
      "${virtuals ? digest('attrelid, attnum, attname', \"pg_attribute WHERE attgenerated = 'v' AND NOT attisdropped\") : \"''\"}) AS print",
    tests: 'test/lambda/postgres/primary-key-cache.pg.test.ts',
    test: 'are read again when ',
  },
  {
    effect: 'A key that was another for a while is taken for unchanged.',
    file: 'lambda/postgres/primary-key-cache.ts',
    code: 'if (entry.keySince === old.keySince && entry.ancestorsSince === old.ancestorsSince) next.set(name, old);',
    wrong: 'if (entry !== undefined) next.set(name, old);',
    tests: 'test/lambda/postgres/primary-key-cache.pg.test.ts',
    test: 'tell that a key was made anew, though it is the same: it may have been another for a while',
  },
  {
    effect: 'A slot that another client has advanced goes on as if nothing had happened.',
    file: 'lambda/postgres/slot.ts',
    code: '    if (confirmedFlush > lsn) throw this.#slotMovedByOther(lsn, confirmedFlush);\n',
    wrong: '',
    tests: 'test/lambda/postgres/slot.pg.test.ts',
    test: 'fails with SLOT_BUSY where another client has moved it further',
    postgres: '10',
  },
];
