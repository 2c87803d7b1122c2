/**
 * Which slot is meant: how CloudFormation's physical resource ids name one, and when two names mean the same slot.
 * Pure; knows no connection and decides nothing about the slot.
 */

/** A server, as far as it is known. */
export interface ServerIdentity {
  readonly host: string;
  /** Undefined: not known, in an id made by an earlier version. */
  readonly port: number | undefined;
  /** What the server calls itself; the same after a failover or under another host name. Undefined: not known. */
  readonly systemIdentifier: string | undefined;
}

/** A slot of a database of a server. */
export interface SlotIdentity extends ServerIdentity {
  readonly database: string;
  readonly slot: string;
}

/** `created`, `adopted`: how a stack came to its slot. `absent`, `present`: what a claim found, before anything was made. */
export type SlotOrigin = 'created' | 'adopted' | 'absent' | 'present';

/** The id that a resource had before an update changed it, for the update's rollback. */
export interface FormerId {
  readonly id: string;
  /** Seconds since 1970. */
  readonly at: number;
}

/** A physical resource id. */
export interface PhysicalId extends SlotIdentity {
  readonly origin: SlotOrigin;
  readonly former: FormerId | undefined;
}

const FORMER = '#formerly@';
const ID =
  /^(created|adopted|absent|present):(?:(\d+)@([^/]+):(\d{1,5})|\?@([^/]+):(\d{1,5})|([^/@]+))\/(.+)\/([a-z0-9_]{1,63})$/;

/**
 * Reads a physical resource id, also one of an earlier version (`created:<host>/<database>/<slot>`).
 *
 * @param id - for example `created:7412345678901234567@db.example.com:5432/app/pg2kinesis`
 * @returns undefined when it is none of ours
 */
export function parsePhysicalId(id: string): PhysicalId | undefined {
  const [own, formerly] = splitOnce(id, FORMER);
  const [, origin, systemIdentifier, host, port, host2, port2, host3, database, slot] = ID.exec(own) ?? [];
  const someHost = host ?? host2 ?? host3;
  if (origin === undefined || someHost === undefined || database === undefined || slot === undefined) return undefined;
  const somePort = port ?? port2;
  return {
    origin: origin as SlotOrigin,
    systemIdentifier,
    host: someHost,
    port: somePort === undefined ? undefined : Number(somePort),
    database,
    slot,
    former: parseFormer(formerly),
  };
}

/**
 * Writes a physical resource id.
 *
 * @param origin - how the stack came to the slot, or what a claim found
 * @param identity - the slot
 * @param former - the id that this one takes the place of
 */
export function formatPhysicalId(origin: SlotOrigin, identity: SlotIdentity, former?: FormerId): string {
  const { systemIdentifier = '?', host, port, database, slot } = identity;
  const own = `${origin}:${systemIdentifier}@${host}:${port ?? 5432}/${database}/${slot}`;
  if (former === undefined) return own;
  // One step back is all that a rollback needs.
  const [id] = splitOnce(former.id, FORMER);
  return `${own}${FORMER}${former.at}:${id}`;
}

/**
 * @param one - an address
 * @param other - another
 * @returns whether they are spelt alike: case and a trailing dot aside, and a port that is not known is any
 */
export function isSameAddress(one: Omit<ServerIdentity, 'systemIdentifier'>, other: typeof one): boolean {
  const port = one.port === undefined || other.port === undefined || one.port === other.port;
  return port && hostName(one.host) === hostName(other.host);
}

/**
 * @param one - a slot
 * @param other - another
 * @returns whether they are in one database of one server: by the server's own identifier, else by its address
 */
export function isSameDatabase(one: Omit<SlotIdentity, 'slot'>, other: typeof one): boolean {
  if (one.database !== other.database) return false;
  if (one.systemIdentifier !== undefined && other.systemIdentifier !== undefined)
    return one.systemIdentifier === other.systemIdentifier;
  return isSameAddress(one, other);
}

/**
 * @param identity - a slot
 * @returns it, for messages
 */
export function describeSlot({ host, port, database, slot }: SlotIdentity): string {
  return `"${slot}" of ${host}${port === undefined ? '' : `:${port}`}/${database}`;
}

function hostName(host: string): string {
  return host.toLowerCase().replace(/\.$/, '');
}

function parseFormer(text: string | undefined): FormerId | undefined {
  const [, at, id] = /^(\d+):(.+)$/s.exec(text ?? '') ?? [];
  return at === undefined || id === undefined ? undefined : { at: Number(at), id };
}

function splitOnce(text: string, separator: string): [string, string?] {
  const at = text.indexOf(separator);
  return at === -1 ? [text] : [text.slice(0, at), text.slice(at + separator.length)];
}
