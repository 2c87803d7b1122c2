/**
 * Holds a process to a share of a core, as Lambda does with functions below 1,769 MiB: 0.58 at 1,024 MiB, 0.29 at 512.
 * It is stopped as soon as it has used more than its share, and goes on when it is no longer so. Linux only.
 */
import { readdirSync, readFileSync } from 'node:fs';

const LOOK_EVERY_MS = 2;
/** What it may use at once after it was idle: the period by which Lambda's own quota is counted. */
const PERIOD_MS = 20;

/**
 * @param pid - the process
 * @param share - of one core, above 0 and below 1
 * @returns ends it, with the process going on
 */
export function limitCpu(pid: number, share: number): () => void {
  let at = performance.now();
  let used = cpuMs(pid) ?? 0;
  let credit = PERIOD_MS * share;
  let isStopped = false;
  const signal = (name: 'SIGSTOP' | 'SIGCONT'): void => {
    try {
      process.kill(pid, name);
    } catch {
      // It has ended.
    }
  };
  const timer = setInterval(() => {
    const now = performance.now();
    const usedNow = cpuMs(pid) ?? used;
    credit = Math.min(PERIOD_MS * share, credit + (now - at) * share - (usedNow - used));
    [at, used] = [now, usedNow];
    if (credit < 0 === isStopped) return;
    isStopped = !isStopped;
    signal(isStopped ? 'SIGSTOP' : 'SIGCONT');
  }, LOOK_EVERY_MS);
  return () => {
    clearInterval(timer);
    if (isStopped) signal('SIGCONT');
  };
}

/** The processor time of all threads of a process in ms, by the scheduler's own account. @param pid - the process. @returns undefined where it is gone, or not told (Linux tells it) */
export function cpuMs(pid: number): number | undefined {
  try {
    let nanoseconds = 0;
    for (const thread of readdirSync(`/proc/${pid}/task`)) {
      const [ran = '0'] = readFileSync(`/proc/${pid}/task/${thread}/schedstat`, 'utf8').split(' ');
      nanoseconds += Number(ran);
    }
    return nanoseconds / 1e6;
  } catch {
    return undefined;
  }
}
