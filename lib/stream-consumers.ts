/**
 * How a Lambda function is given the stream's records: the event source mapping, and what it must not be given.
 * Knows no consumer's code: that is `lib/consumer/`.
 */
import type { IStream } from 'aws-cdk-lib/aws-kinesis';
import { StartingPosition } from 'aws-cdk-lib/aws-lambda';
import { KinesisEventSource, type KinesisEventSourceProps } from 'aws-cdk-lib/aws-lambda-event-sources';
import type { Construct } from 'constructs';
import { DEFAULT_FORMAT, FORMAT_FACTS } from './format-facts.ts';
import { PropsError } from './prop-faults.ts';
import type { SlotPublisherProps } from './slot-publisher-props.ts';

/** What an event source takes, all of it optional: the CDK's own props. */
export type SlotEventSourceProps = Partial<KinesisEventSourceProps>;

/** A publisher, as far as it is looked at here. */
type PublisherOfStream = Construct & {
  readonly stream: IStream;
  readonly props: Pick<SlotPublisherProps, 'aggregation' | 'format'>;
};

/**
 * @param publisher - whose stream is read
 * @param props - `startingPosition` is the oldest record unless given: nothing that is in the stream is missed
 * @returns the event source
 * @throws {PropsError} where `filters` would make Lambda discard records that it cannot look into
 */
export function eventSourceOf(publisher: PublisherOfStream, props: SlotEventSourceProps): KinesisEventSource {
  const { aggregation = 'kpl', format = DEFAULT_FORMAT } = publisher.props;
  if (props.filters !== undefined && (aggregation !== 'none' || !FORMAT_FACTS[format].isJson))
    throw new PropsError(publisher, [
      `filters cannot be given with aggregation ${aggregation} and format ${format}: Lambda discards each record that is not one JSON object, silently and for good. ` +
        'Filter in your code, or with tableIncludeList and operations. A filter needs aggregation none and a format of JSON.',
    ]);
  return new KinesisEventSource(publisher.stream, { startingPosition: StartingPosition.TRIM_HORIZON, ...props });
}
