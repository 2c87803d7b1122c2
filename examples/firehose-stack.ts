// The changes of a stream with FORMAT=json as objects in S3, one change a line, by Amazon Data Firehose.
import { Duration, RemovalPolicy, Stack, type StackProps } from 'aws-cdk-lib';
import * as iam from 'aws-cdk-lib/aws-iam';
import type * as kinesis from 'aws-cdk-lib/aws-kinesis';
import * as firehose from 'aws-cdk-lib/aws-kinesisfirehose';
import * as s3 from 'aws-cdk-lib/aws-s3';
import type { Construct } from 'constructs';

export interface FirehoseStackProps extends StackProps {
  /** The stream that pg2kinesis publishes to: `slotStream.stream`, or `kinesis.Stream.fromStreamArn(...)`. */
  readonly stream: kinesis.IStream;
}

export class FirehoseStack extends Stack {
  constructor(scope: Construct, id: string, { stream, ...props }: FirehoseStackProps) {
    super(scope, id, props);
    const bucket = new s3.Bucket(this, 'Changes', {
      encryption: s3.BucketEncryption.S3_MANAGED,
      blockPublicAccess: s3.BlockPublicAccess.BLOCK_ALL,
      enforceSSL: true,
      removalPolicy: RemovalPolicy.RETAIN,
      lifecycleRules: [{ abortIncompleteMultipartUploadAfter: Duration.days(1) }],
    });
    const role = new iam.Role(this, 'Role', { assumedBy: new iam.ServicePrincipal('firehose.amazonaws.com') });
    const grants = [stream.grantRead(role), bucket.grantReadWrite(role)];
    const delivery = new firehose.CfnDeliveryStream(this, 'Delivery', {
      deliveryStreamType: 'KinesisStreamAsSource',
      kinesisStreamSourceConfiguration: { kinesisStreamArn: stream.streamArn, roleArn: role.roleArn },
      extendedS3DestinationConfiguration: {
        bucketArn: bucket.bucketArn,
        roleArn: role.roleArn,
        compressionFormat: 'GZIP',
        bufferingHints: { intervalInSeconds: 300, sizeInMBs: 64 },
        prefix: 'changes/!{timestamp:yyyy/MM/dd/HH}/',
        errorOutputPrefix: 'failed/!{firehose:error-output-type}/',
        processingConfiguration: {
          enabled: true,
          // Firehose unpacks aggregates by itself, and writes the changes one behind the other: this ends each line.
          processors: [
            {
              type: 'AppendDelimiterToRecord',
              parameters: [{ parameterName: 'Delimiter', parameterValue: '\\n' }],
            },
          ],
        },
      },
    });
    // Firehose tries its role when it is made.
    for (const grant of grants) grant.applyBefore(delivery);
  }
}
