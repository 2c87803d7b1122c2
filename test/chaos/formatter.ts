/** A formatter of the user's own, for the tests of this directory: all that it is given, as FORMAT=json would write it. */
import type { Formatter } from '../../lib/formatter/formatter.ts';

export default {
  format: (change) => ({ data: JSON.stringify(change) }),
  formatMessage: ({ content, ...message }) => ({
    data: JSON.stringify({ ...message, content: Buffer.from(content ?? []).toString() }),
  }),
} satisfies Formatter;
