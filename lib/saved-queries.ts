/** Saved queries of the function's log, for CloudWatch Logs Insights: what an engineer on call asks it first. */
import * as logs from 'aws-cdk-lib/aws-logs';
import type { Construct } from 'constructs';

/** What each asks, and its id in the template. */
const QUERIES = {
  FailedRuns: {
    title: 'failed runs',
    query: new logs.QueryString({
      fields: ['@timestamp', 'code', 'message', 'function_request_id'],
      filterStatements: ['level = "ERROR" or @message like /Task timed out|Runtime\\./'],
      sort: '@timestamp desc',
      limit: 100,
    }),
  },
  Answers: {
    title: 'answers of runs',
    query: new logs.QueryString({
      fields: [
        '@timestamp',
        'answer.action',
        'answer.stopped',
        'answer.published',
        'answer.lagBytes',
        'answer.lagSeconds',
        'answer.throttledEntries',
        'answer.durationMs',
      ],
      filterStatements: ['ispresent(answer.action)'],
      sort: '@timestamp desc',
      limit: 200,
    }),
  },
  Warnings: {
    title: 'warnings, and what was left out',
    query: new logs.QueryString({
      fields: ['@timestamp', 'message', '@message'],
      filterStatements: ['level = "WARN"'],
      sort: '@timestamp desc',
      limit: 100,
    }),
  },
  ByCode: {
    title: 'errors by code and hour',
    query: new logs.QueryString({
      filterStatements: ['level = "ERROR"'],
      statsStatements: ['count(*) as failures by code, bin(1h)'],
    }),
  },
} as const;

/**
 * Makes the queries.
 *
 * @param scope - in which they are made
 * @param pipelineName - the folder in which they are saved
 * @param logGroup - the function's log
 * @returns their names, as the console lists them
 */
export function saveQueries(scope: Construct, pipelineName: string, logGroup: logs.ILogGroup): readonly string[] {
  return Object.entries(QUERIES).map(([id, { title, query }]) => {
    const queryDefinitionName = `pg2kinesis/${pipelineName}/${title}`;
    new logs.QueryDefinition(scope, id, { queryDefinitionName, queryString: query, logGroups: [logGroup] });
    return queryDefinitionName;
  });
}
