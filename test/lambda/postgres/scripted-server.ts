/**
 * A server that a test writes down: what it answers to a statement that holds a text. For the tests of this room that ask how
 * rows are understood; what the statements give is tested on real servers.
 */
import type { Queryable } from '../../../lambda/postgres/status-queries.ts';

type Row = Readonly<Record<string, unknown>>;

/** A statement that was sent. */
export interface Sent {
  readonly text: string;
  readonly values: readonly unknown[] | undefined;
}

/** @param code - a SQLSTATE @returns an error of the server */
export function refusal(code: string, fields: Row = {}): Error {
  return Object.assign(new Error(`refused with ${code}`), { code }, fields);
}

/**
 * @param answers - a text of the statement, and its rows, or the error it ends with; the first that fits is given. A statement
 *   that fits none has no rows
 */
export function scriptedServer(answers: readonly (readonly [part: string, answer: readonly Row[] | Error])[]) {
  const sent: Sent[] = [];
  const query: Queryable['query'] = (text, values) => {
    sent.push({ text, values });
    const [, answer] = answers.find(([part]) => text.includes(part)) ?? [];
    return answer instanceof Error ? Promise.reject(answer) : Promise.resolve({ rows: [...(answer ?? [])] });
  };
  /** @param part - of a statement @returns the values that it was sent with, each time */
  const valuesOf = (part: string) => sent.filter(({ text }) => text.includes(part)).map(({ values }) => values);
  return { client: { query }, sent, valuesOf };
}

/** Changes one column of a row after the other. @returns the name of each column that was changed, and what came of it */
export function withEach<T>(
  row: Row,
  changed: (value: unknown) => unknown,
  work: (row: Row) => Promise<T>,
): Promise<(readonly [column: string, outcome: T])[]> {
  return Promise.all(
    Object.entries(row).map(
      async ([column, value]) => [column, await work({ ...row, [column]: changed(value) })] as const,
    ),
  );
}
