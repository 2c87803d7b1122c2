/** Asks at a terminal. Knows the questions' shape and nothing of what they are for. */
import { isCancel, password, select, text } from '@clack/prompts';
import type { Prompter } from './init.ts';
import { faultOfAnswer, type SettingsDestination } from './questions.ts';

/** The process's own terminal. */
export const prompts: Prompter = {
  ask: async (question) => {
    const { ask: message, secret, fallback } = question;
    // What is not typed is the default.
    const validate = (value: string | undefined): string | undefined =>
      (value ?? '') === '' && (fallback !== undefined || secret === true) ? undefined : faultOfAnswer(question, value);
    const answer =
      secret === true
        ? await password({ message, validate })
        : await text({
            message,
            validate,
            ...(fallback === undefined ? {} : { placeholder: fallback, defaultValue: fallback }),
          });
    return isCancel(answer) ? undefined : answer;
  },
  choose: async () => {
    const answer = await select<SettingsDestination>({
      message: 'How will it run?',
      options: [
        { value: 'env', label: 'from the command line', hint: 'a first try, a container, a cron job: writes .env' },
        { value: 'cdk', label: 'as a Lambda function, by the CDK', hint: 'writes cdk.json' },
      ],
    });
    return isCancel(answer) ? undefined : answer;
  },
};
