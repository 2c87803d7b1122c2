/** Settings that were chosen on purpose and that lose something later: they are named at each synthesis. Knows no construct but the stack. */
import { Annotations, type Stack } from 'aws-cdk-lib';
import type { PipelineSettings } from './pipeline-settings.ts';

/**
 * As information: it is not wrong, and so no warning, with which `--strict` would fail.
 *
 * @param stack - where it is said
 * @param settings - the settings of the stack
 */
export function addSynthesisNotices(
  stack: Stack,
  { schedule, slotLifecycle, onRemoval, alarms }: PipelineSettings,
): void {
  const annotations = Annotations.of(stack);
  // Older releases of the CDK have only the one without an id.
  const known: Pick<Annotations, 'addInfo'> & Partial<Pick<Annotations, 'addInfoV2'>> = annotations;
  const say = (id: string, text: string): void =>
    known.addInfoV2 === undefined ? known.addInfo(text) : known.addInfoV2(`pg2kinesis:${id}`, text);
  if (!schedule)
    say(
      'scheduleOff',
      'schedule is false: nothing is published, and the slot keeps WAL on the disk of the server meanwhile.',
    );
  if (!slotLifecycle)
    say(
      'slotLeft',
      'slotLifecycle is false: the stack neither makes nor drops the slot. One that it made stays, and keeps WAL: drop it by hand when nobody publishes it any more.',
    );
  if (onRemoval === 'retain')
    say(
      'slotRetained',
      'onRemoval is retain: the slot stays when the stack is removed, and keeps WAL until it is dropped by hand.',
    );
  if (!alarms) say('alarmsOff', 'alarms is false: nobody is told when the slot fills the disk of the server.');
}
