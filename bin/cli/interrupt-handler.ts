/** Ctrl-C and SIGTERM of a command: the first asks for an orderly end, a second ends it at once. */
import { INTERRUPTED, type Terminal } from './terminal.ts';

/**
 * @param terminal - whose signals
 * @param stop - aborted by the first
 * @param say - called at the first
 * @returns a function that stops listening to the signals
 */
export function onInterrupt(terminal: Terminal, stop: AbortController, say: () => void): () => void {
  const interrupt = (): void => {
    if (stop.signal.aborted) terminal.exit(INTERRUPTED);
    say();
    stop.abort();
  };
  for (const signal of ['SIGINT', 'SIGTERM'] as const) terminal.on(signal, interrupt);
  return () => {
    for (const signal of ['SIGINT', 'SIGTERM'] as const) terminal.off(signal, interrupt);
  };
}
