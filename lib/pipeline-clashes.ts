/**
 * Pipelines that must not be deployed together: two of one name would raise each other's alarms, two of one slot would take each
 * other's changes. For pipelines of one app, in whichever stack or stage each is. Makes no construct.
 */
import { Stack, Token } from 'aws-cdk-lib';
import type { IConstruct } from 'constructs';

/** Where a slot is, as far as it is known. */
interface SlotPlace {
  /** Host name or address; it may hold a token. */
  readonly host: string;
  readonly port: number;
  readonly slot: string;
  /** Where its function is. */
  readonly account: string | undefined;
  readonly region: string | undefined;
}

/** What must not be shared. */
export interface Pipeline extends Omit<SlotPlace, 'account' | 'region'> {
  /** Its name in metrics. */
  readonly name: string;
}

/** A name that RDS gives is that of one server in the world, and a token stands for one. */
const IS_ONE_SERVER = /\.rds\.amazonaws\.[a-z.]+$/;

/** The pipelines of each app, by its root, in the order in which they were made. */
const PIPELINES = new WeakMap<IConstruct, (Pipeline & { readonly construct: IConstruct })[]>();

/**
 * Makes synthesis fail where a pipeline has the name or the slot of an earlier one.
 *
 * @param construct - the pipeline's
 * @param pipeline - what must not be shared
 */
export function refuseClashes(construct: IConstruct, pipeline: Pipeline): void {
  const { root } = construct.node;
  const all = PIPELINES.get(root) ?? [];
  const earlier = [...all];
  all.push({ ...pipeline, construct });
  PIPELINES.set(root, all);
  construct.node.addValidation({
    validate: () =>
      earlier.flatMap((other) => {
        const theirs = other.construct.node.path;
        const faults: string[] = [];
        if (pipeline.name.toLowerCase() === other.name.toLowerCase() && isSamePlace(construct, other.construct))
          faults.push(
            `pipelineName cannot be ${JSON.stringify(pipeline.name)}, which is that of "${theirs}" in the same account and region: ` +
              'their metrics and alarms would be one. Give each a pipelineName of its own, or none.',
          );
        if (slotKey({ ...pipeline, ...placeOf(construct) }) === slotKey({ ...other, ...placeOf(other.construct) }))
          faults.push(
            `slotName cannot be ${JSON.stringify(pipeline.slot)}, which "${theirs}" publishes from the same server: ` +
              "a server's slots share their names, whatever their database. Give each pipeline a slotName of its own.",
          );
        return faults;
      }),
  });
}

/**
 * @param place - where a slot is
 * @returns a text that is the same for one slot of one server; the case of the host and a dot at its end do not matter. A name or
 *   an address of a private network is another server's in another account or region.
 */
export function slotKey({ host, port, slot, account, region }: SlotPlace): string {
  const name = host.toLowerCase().replace(/\.$/, '');
  const place = IS_ONE_SERVER.test(name) || Token.isUnresolved(host) ? [] : [account, region];
  return [`${slot} of ${name}:${port}`, ...place.filter((part) => part !== undefined)].join(' in ');
}

function placeOf(construct: IConstruct): Pick<SlotPlace, 'account' | 'region'> {
  const { account, region } = Stack.of(construct);
  return { account, region };
}

function isSamePlace(one: IConstruct, other: IConstruct): boolean {
  const [a, b] = [placeOf(one), placeOf(other)];
  return a.account === b.account && a.region === b.region;
}
