/**
 * One container of the function for a benchmark: imports the real handler, invokes it with each payload given as an
 * argument, and prints each invocation's answer, time, processor time and the process's largest resident memory as a line of JSON.
 */
import type { Context } from 'aws-lambda';
import { handler } from '../../lambda/handler.ts';

for (const payload of process.argv.slice(2)) {
  const began = performance.now();
  const cpu = process.cpuUsage();
  const end = began + 900_000;
  const context = { awsRequestId: 'bench', getRemainingTimeInMillis: () => end - performance.now() } as Context;
  const answer = await handler(JSON.parse(payload), context);
  const ms = performance.now() - began;
  const { user, system } = process.cpuUsage(cpu);
  console.log(
    `bench ${JSON.stringify({ ms, cpuMs: (user + system) / 1000, maxRssMb: process.resourceUsage().maxRSS / 1024, answer })}`,
  );
}
