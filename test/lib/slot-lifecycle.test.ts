/** The slot as a resource: what it asks of the function, and what it waits for. */
import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { onlyResource, type Resource, resourcesOf, synthesise } from './synth.ts';

const SLOT = 'Custom::Pg2KinesisSlot';
const CLAIM = 'Custom::Pg2KinesisSlotClaim';

/** The types of what a resource depends on, itself or through others. */
function typesBefore(
  resource: Resource,
  all: Readonly<Record<string, Resource>>,
  seen = new Set<string>(),
): Set<string> {
  for (const id of [...(resource.DependsOn ?? []), ...references(resource.Properties)]) {
    const next = all[id];
    if (next === undefined || seen.has(id)) continue;
    seen.add(id);
    typesBefore(next, all, seen);
  }
  return seen;
}

/** The logical IDs that properties refer to. */
function references(value: unknown): string[] {
  if (typeof value !== 'object' || value === null) return [];
  return Object.entries(value).flatMap(([name, part]: [string, unknown]) => {
    if (name === 'Ref' && typeof part === 'string') return [part];
    if (name === 'Fn::GetAtt' && Array.isArray(part)) return [String(part[0])];
    return references(part);
  });
}

describe('the slot as a resource of the stack', () => {
  it('asks the function itself, through its alias, and tells it what the function reads', () => {
    const { template, function: own } = synthesise({ slotName: 'orders', onRemoval: 'retain' });
    const slot = onlyResource(template, SLOT);
    const { ServiceToken, ...properties } = slot.Properties;
    const claim = onlyResource(template, CLAIM);
    const asked = {
      ServiceTimeout: '960',
      slotName: 'orders',
      databaseHost: 'db.example.com',
      databasePort: 5432,
      databaseName: 'app',
      onRemoval: 'retain',
    };
    assert.deepEqual(properties, { ...asked, claim: { Ref: claim.id } });
    assert.deepEqual(claim.Properties, { ...asked, ServiceToken });
    const alias = onlyResource(template, 'AWS::Lambda::Alias');
    const [framework] = references(ServiceToken);
    const resource = resourcesOf(template, 'AWS::Lambda::Function')[framework ?? ''];
    assert.deepEqual((resource?.Properties['Environment'] as { Variables: unknown }).Variables, {
      USER_ON_EVENT_FUNCTION_ARN: { Ref: alias.id },
    });
    assert.deepEqual(alias.Properties['FunctionName'], { Ref: own.id });
    assert.equal(alias.Properties['Name'], 'admin');
    assert.equal(alias.Properties['FunctionVersion'], '$LATEST');
  });

  it('is dropped with the stack where nothing else is said', () => {
    const slot = onlyResource(synthesise().template, SLOT);
    assert.equal(slot.Properties['onRemoval'], 'drop');
    assert.equal(slot.Properties['slotName'], 'pg2kinesis');
    assert.equal(slot.DeletionPolicy, 'Delete');
  });

  it('is made when the database can be reached and the invocations are configured, and before the schedule; removed the other way round', () => {
    const { template } = synthesise({ endpoints: 'kinesis,secretsmanager' });
    const all = (template.toJSON() as { Resources: Record<string, Resource> }).Resources;
    const before = (type: string): string[] =>
      [...typesBefore(onlyResource(template, type), all)].map((id) => all[id]?.Type ?? '');
    const slot = before(SLOT);
    for (const type of [
      'AWS::EC2::SecurityGroupIngress',
      'AWS::EC2::SecurityGroupEgress',
      'AWS::EC2::VPCEndpoint',
      'AWS::Lambda::EventInvokeConfig',
      'AWS::IAM::Policy',
    ]) {
      const made = Object.values(all).filter(
        (resource) =>
          resource.Type === type &&
          (type !== 'AWS::IAM::Policy' || JSON.stringify(resource).includes('kinesis:PutRecords')),
      );
      assert.ok(made.length > 0);
      assert.ok(slot.filter((other) => other === type).length >= made.length, `all of type ${type}`);
    }
    assert.ok(!slot.includes('AWS::Scheduler::Schedule'));
    assert.ok(before('AWS::Scheduler::Schedule').includes(SLOT));
    assert.ok(slot.includes(CLAIM));
    assert.ok(before(CLAIM).includes('AWS::EC2::SecurityGroupIngress'));
  });

  it('goes before what watches it: its alarm, its topic and whom that tells', () => {
    const { template } = synthesise();
    const all = (template.toJSON() as { Resources: Record<string, Resource> }).Resources;
    for (const type of [SLOT, CLAIM]) {
      const before = typesBefore(onlyResource(template, type), all);
      const watchers = Object.entries(all).filter(
        ([id, { Type }]) => /^AWS::(SNS|KMS)::/.test(Type) || /^AlarmsRetainedWal/.test(id),
      );
      assert.equal(watchers.length, 5, 'alarm, topic, its policy, its key, its subscription');
      assert.deepEqual(
        watchers.map(([id]) => id).filter((id) => !before.has(id)),
        [],
        type,
      );
    }
  });

  it('is there, and the schedule, before the alarm on runs that do not end well: made earlier, that would be raised', () => {
    const { template } = synthesise();
    const all = (template.toJSON() as { Resources: Record<string, Resource> }).Resources;
    const [, alarm] = Object.entries(all).find(([id]) => id.startsWith('AlarmsNotRunning')) ?? [];
    assert.ok(alarm);
    const types = [...typesBefore(alarm, all)].map((id) => all[id]?.Type);
    assert.ok(types.includes(SLOT) && types.includes('AWS::Scheduler::Schedule'));
  });

  it('can be left out', () => {
    const { template } = synthesise({ slotLifecycle: 'false' });
    template.resourceCountIs(SLOT, 0);
    template.resourceCountIs(CLAIM, 0);
    template.resourceCountIs('AWS::Lambda::Function', 1);
    assert.ok(
      onlyResource(template, 'AWS::Scheduler::Schedule').DependsOn?.length,
      'the schedule still waits for the network',
    );
  });
});
