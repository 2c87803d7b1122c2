/**
 * How a NULL is written: as `null`, by every format that writes JSON. A format that leaves NULLs out says so itself
 * (`FieldRules.nulls`, of which `dms` makes use). Imports nothing.
 */

/** NULL, and whatever else of a record is not known. */
export const NULL = Buffer.from('null', 'latin1');
