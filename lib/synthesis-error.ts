/** The one base of what is refused at synthesis: a message meant for the reader, not a fault of the code. Knows nothing else. */

/** Something that was given cannot be synthesised. The message says what, and what to give instead. */
export class SynthesisError extends Error {
  override readonly name: string = 'SynthesisError';
}
