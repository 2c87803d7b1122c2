/**
 * What may be said of an error that is not ours: its class and where in the code it was thrown. Never its message, which
 * may quote a row's values (I10), and nothing that a message could imitate.
 */

/** A frame of a stack: its file's name, line and column. */
const FRAME = /^\s+at (?:.*[(/\\])?([\w.-]{1,100}\.[cm]?[jt]s):(\d{1,7}):(\d{1,7})\)?$/;
const CLASS = /^[A-Za-z_$][\w$]{0,63}$/;

/**
 * @param thrown - whatever a `catch` was given
 * @returns for example `TypeError at order-events.ts:12:20`
 */
export function describeThrown(thrown: unknown): string {
  if (!(thrown instanceof Error)) return thrown === null ? 'null' : `a ${typeof thrown}`;
  try {
    const { constructor } = Object.getPrototypeOf(thrown) as { readonly constructor: { readonly name: unknown } };
    const name = typeof constructor.name === 'string' && CLASS.test(constructor.name) ? constructor.name : 'Error';
    const place = placeOf(thrown);
    return place === undefined ? name : `${name} at ${place}`;
  } catch {
    return 'an error';
  }
}

/**
 * The first frame behind the message, with which the stack begins. Where it begins with another one, the message was
 * changed, and the old one cannot be told from the frames.
 */
function placeOf({ stack, message }: Error): string | undefined {
  if (typeof stack !== 'string') return undefined;
  const head = /^[\w$.]+(?:: )?/.exec(stack)?.[0] ?? '';
  const begin = `${head.endsWith(': ') || message === '' ? head : `${head}: `}${message}\n    at `;
  if (!stack.startsWith(begin) || (message === '' && head.endsWith(': '))) return undefined;
  for (const line of stack.slice(begin.length - '    at '.length).split('\n')) {
    const match = FRAME.exec(line);
    if (match !== null) return `${match[1]}:${match[2]}:${match[3]}`;
  }
  return undefined;
}
