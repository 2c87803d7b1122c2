/**
 * The demo's formatter, for FORMAT=module: everything that it is given of a change, as JSON, so that the demo's consumer can
 * judge all of it.
 */
import type { Formatter } from '../../lib/formatter/formatter.ts';

export default {
  format: (change) => ({ data: JSON.stringify({ ...change, types: undefined }) }),
} satisfies Formatter;
