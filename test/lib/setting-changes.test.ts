/**
 * docs/deploy.md's table of what a changed setting does: each setting is there, with the resources that it touches in the
 * templates of today. Which of them are replaced, `cdk diff` has said: `npm run docs:changes`.
 */
import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { describe, it } from 'node:test';
import { isDeepStrictEqual } from 'node:util';
import { Annotations, Match } from 'aws-cdk-lib/assertions';
import { STACK_SETTINGS } from '../../lib/stack-settings-table.ts';
import {
  CHANGES,
  describeEffects,
  type Effect,
  isKept,
  OTHER_STACK,
  sidesOf,
  type Template,
  templateOf,
} from '../deploy/setting-changes.ts';
import { synthesise } from './synth.ts';

const page = readFileSync(new URL('../../docs/deploy.md', import.meta.url), 'utf8');
const [, part = ''] = page.split('<!-- setting-changes -->');
const rows = new Map(
  [...part.matchAll(/^\| `(\w+)` \| (.+) \| (.+) \|$/gm)].map(([, name = '', effects = '', note = '']) => [
    name,
    { effects, note },
  ]),
);

/** What two templates show by themselves: a replaced resource is an updated one here. */
function compare(before: Template, after: Template): string {
  const effects: (readonly [Effect, string])[] = [];
  for (const [id, resource] of Object.entries(after.Resources)) {
    const old = before.Resources[id];
    if (old === undefined) effects.push(['+', resource.Type]);
    else if (!isDeepStrictEqual(old, resource)) effects.push(['~', resource.Type]);
  }
  for (const [id, resource] of Object.entries(before.Resources))
    if (after.Resources[id] === undefined) effects.push([isKept(before, id) ? 'left' : '-', resource.Type]);
  return describeEffects(effects);
}

/** A row with what is replaced among what is updated, each resource by itself, sorted. */
function flatten(effects: string): readonly string[] {
  return effects
    .split('; ')
    .flatMap((each) => {
      const [word = '', names = ''] = each.split(': ');
      return names.split(', ').map((name) => `${word === 'replaced' ? 'updated' : word} ${name}`);
    })
    .sort();
}

describe('the table of what a changed setting does', () => {
  it('has a row for each setting, in order, with its note', () => {
    assert.deepEqual([...rows.keys()], Object.keys(CHANGES));
    assert.deepEqual([...rows.keys()].sort(), Object.keys(STACK_SETTINGS).sort());
    for (const [name, { note }] of Object.entries(CHANGES)) assert.equal(rows.get(name)?.note, note, name);
  });

  it('names the resources that the templates of today show', () => {
    const known = new Map<string, Template>();
    for (const [name, change] of Object.entries(CHANGES)) {
      if (OTHER_STACK.includes(name)) continue;
      const [before, after] = sidesOf(change).map((side) => {
        const key = JSON.stringify(side);
        const template = known.get(key) ?? templateOf(side);
        known.set(key, template);
        return template;
      });
      assert.ok(before && after);
      const effects = rows.get(name)?.effects ?? '';
      // What is replaced because something that it refers to is shows in no template.
      const found = flatten(compare(before, after));
      const isShown = (each: string): boolean => found.includes(each) || !effects.includes('replaced');
      assert.deepEqual(flatten(effects).filter(isShown), found, `${name}: run npm run docs:changes -- ${name}`);
    }
  });

  it('never says that the slot or the stream is replaced or removed, but where that was asked for', () => {
    const harmed = [...rows].filter(([, { effects }]) =>
      /(replaced|removed|left behind): [^;]*(the slot|Stream)\b/.test(effects),
    );
    assert.deepEqual(
      harmed.map(([name]) => name),
      ['existingStream', 'slotLifecycle'],
    );
  });
});

describe('synthesis', () => {
  for (const [settings, pattern] of [
    [{ schedule: false }, 'schedule is false: nothing is published.*'],
    [{ slotLifecycle: false }, 'slotLifecycle is false: .*One that it made stays.*'],
    [{ onRemoval: 'retain' }, 'onRemoval is retain: the slot stays.*'],
    [{ alarms: false }, 'alarms is false: nobody is told.*'],
  ] as const) {
    it(`says what follows from ${JSON.stringify(settings)}, as no warning`, () => {
      const { stack } = synthesise(settings);
      const annotations = Annotations.fromStack(stack);
      annotations.hasInfo('*', Match.stringLikeRegexp(pattern));
      assert.deepEqual(annotations.findWarning('*', Match.anyValue()), []);
      assert.equal(Annotations.fromStack(synthesise().stack).findInfo('*', Match.stringLikeRegexp(pattern)).length, 0);
    });
  }
});
