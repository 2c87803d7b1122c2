// All changes of a stream as rows of one Apache Iceberg table, by Amazon Data Firehose: a log that Athena, Spark or Trino reads.
// The pipeline publishes what examples/iceberg-rows.ts makes: format=module, formatter=iceberg-rows.ts.
import { ArnFormat, Duration, RemovalPolicy, Stack, type StackProps } from 'aws-cdk-lib';
import * as glue from 'aws-cdk-lib/aws-glue';
import * as iam from 'aws-cdk-lib/aws-iam';
import type * as kinesis from 'aws-cdk-lib/aws-kinesis';
import * as firehose from 'aws-cdk-lib/aws-kinesisfirehose';
import * as s3 from 'aws-cdk-lib/aws-s3';
import type { Construct } from 'constructs';

export interface IcebergStackProps extends StackProps {
  /** The stream that pg2kinesis publishes to. */
  readonly stream: kinesis.IStream;
}

/** The fields that examples/iceberg-rows.ts writes. Firehose takes the first level of the JSON, by the columns' names. */
const COLUMNS = {
  id: 'string',
  source: 'string',
  op: 'string',
  table_name: 'string',
  key_json: 'string',
  row_json: 'string',
  unchanged: 'string',
  commit_lsn: 'string',
  commit_time: 'string',
  ordinal: 'int',
};
const DATABASE = 'pg2kinesis';
const TABLE = 'changes';

export class IcebergStack extends Stack {
  constructor(scope: Construct, id: string, { stream, ...props }: IcebergStackProps) {
    super(scope, id, props);
    const bucket = new s3.Bucket(this, 'Changes', {
      encryption: s3.BucketEncryption.S3_MANAGED,
      blockPublicAccess: s3.BlockPublicAccess.BLOCK_ALL,
      enforceSSL: true,
      removalPolicy: RemovalPolicy.RETAIN,
      lifecycleRules: [{ abortIncompleteMultipartUploadAfter: Duration.days(1) }],
    });
    const database = new glue.CfnDatabase(this, 'Database', {
      catalogId: this.account,
      databaseInput: { name: DATABASE },
    });
    const table = new glue.CfnTable(this, 'Table', {
      catalogId: this.account,
      databaseName: DATABASE,
      // Firehose takes tables of this version only.
      openTableFormatInput: { icebergInput: { metadataOperation: 'CREATE', version: '2' } },
      tableInput: {
        name: TABLE,
        tableType: 'EXTERNAL_TABLE',
        storageDescriptor: {
          location: bucket.s3UrlForObject(TABLE),
          columns: Object.entries(COLUMNS).map(([name, type]) => ({ name, type })),
        },
      },
    });
    table.node.addDependency(database);
    const inCatalog = (resource: string, resourceName?: string) =>
      this.formatArn({
        service: 'glue',
        resource,
        ...(resourceName === undefined
          ? { arnFormat: ArnFormat.NO_RESOURCE_NAME }
          : { resourceName, arnFormat: ArnFormat.SLASH_RESOURCE_NAME }),
      });
    const role = new iam.Role(this, 'Role', { assumedBy: new iam.ServicePrincipal('firehose.amazonaws.com') });
    const grants = [
      stream.grantRead(role),
      bucket.grantReadWrite(role),
      iam.Grant.addToPrincipal({
        grantee: role,
        actions: ['glue:GetDatabase', 'glue:GetTable', 'glue:UpdateTable'],
        resourceArns: [
          inCatalog('catalog'),
          inCatalog('database', DATABASE),
          inCatalog('table', `${DATABASE}/${TABLE}`),
        ],
      }),
    ];
    const delivery = new firehose.CfnDeliveryStream(this, 'Delivery', {
      deliveryStreamType: 'KinesisStreamAsSource',
      kinesisStreamSourceConfiguration: { kinesisStreamArn: stream.streamArn, roleArn: role.roleArn },
      icebergDestinationConfiguration: {
        // Rows are added and never changed: the newest of a key is its state.
        appendOnly: true,
        catalogConfiguration: { catalogArn: inCatalog('catalog') },
        destinationTableConfigurationList: [{ destinationDatabaseName: DATABASE, destinationTableName: TABLE }],
        roleArn: role.roleArn,
        bufferingHints: { intervalInSeconds: 300, sizeInMBs: 64 },
        s3Configuration: { bucketArn: bucket.bucketArn, roleArn: role.roleArn, errorOutputPrefix: 'failed/' },
      },
    });
    delivery.node.addDependency(table);
    // Firehose tries its role when it is made.
    for (const grant of grants) grant.applyBefore(delivery);
  }
}
