/**
 * Pipelines that must not be deployed together: two of one name would raise each other's alarms, two of one slot would take each
 * other's changes. For pipelines of one app, in whichever stack or stage each is. Makes no construct.
 */
import { Stack } from 'aws-cdk-lib';
import type { IConstruct } from 'constructs';

/** What must not be shared. */
export interface Pipeline {
  /** Its name in metrics. */
  readonly name: string;
  /** Host name or address; it may hold a token. */
  readonly host: string;
  readonly port: number;
  readonly slot: string;
}

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
        if (slotKey(pipeline) === slotKey(other))
          faults.push(
            `slotName cannot be ${JSON.stringify(pipeline.slot)}, which "${theirs}" publishes from the same server: ` +
              "a server's slots share their names, whatever their database. Give each pipeline a slotName of its own.",
          );
        return faults;
      }),
  });
}

/**
 * @param pipeline - where its slot is
 * @returns a text that is the same for one slot of one server; the case of the host and a dot at its end do not matter
 */
export function slotKey({ host, port, slot }: Omit<Pipeline, 'name'>): string {
  return `${slot} of ${host.toLowerCase().replace(/\.$/, '')}:${port}`;
}

function isSamePlace(one: IConstruct, other: IConstruct): boolean {
  const [a, b] = [Stack.of(one), Stack.of(other)];
  return a.account === b.account && a.region === b.region;
}
