/**
 * What the package offers to a CDK app of its user's: `import { SlotPublisher } from 'pg2kinesis'`.
 * The one file that re-exports, because a package needs one address that every module system resolves. Nothing here imports it.
 */
export { AlarmTopic, type AlarmTopicProps } from './alarm-topic.ts';
export { Pg2KinesisStack, type Pg2KinesisStackProps } from './pg2kinesis-stack.ts';
export type { Endpoint, PipelineSettings } from './pipeline-settings.ts';
export { PropsError } from './prop-faults.ts';
export type { PublishingProps } from './publishing-props.ts';
export { readSettings, SettingsError } from './settings.ts';
export { SlotAlarms, type SlotAlarmsProps } from './slot-alarms.ts';
export { SlotDashboard, type SlotDashboardProps } from './slot-dashboard.ts';
export { SlotEndpoints, type SlotEndpointsProps } from './slot-endpoints.ts';
export { SlotLifecycle, type SlotLifecycleProps } from './slot-lifecycle.ts';
export { NAMESPACE, SLOT_METRICS, type SlotMetric, slotMetric } from './slot-metrics.ts';
export { SlotPublisher } from './slot-publisher.ts';
export type { DatabaseProps, DatabaseSignIn, FunctionProps, SlotPublisherProps } from './slot-publisher-props.ts';
export { importStream, SlotStream, type SlotStreamProps } from './slot-stream.ts';
export { SubnetsError } from './slot-subnets.ts';
export type { SlotEventSourceProps } from './stream-consumers.ts';
export { StreamReplica } from './stream-replica.ts';
export type { CopyProps, ReplicaAlarmProps, ReplicatedStream, StreamReplicaProps } from './stream-replica-props.ts';
export { SynthesisError } from './synthesis-error.ts';
