/** Equivalent mutants of lambda/decode/. */
import type { EquivalentMutants } from '../equivalent-mutants.ts';

export const DECODE: readonly EquivalentMutants[] = [];
