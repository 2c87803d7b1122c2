/** Actions that are done through the alias `admin` alone. */
import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { requireAdmitted } from '../../../lambda/settings/admin-only.ts';
import { readEvent } from '../../../lambda/settings/event.ts';

const OWN = 'arn:aws:lambda:us-east-1:123456789012:function:own';
const DROP = readEvent({ action: 'drop-slot' });
const DELETE = readEvent({ RequestType: 'Delete', PhysicalResourceId: 'created:1@host:5432/app/another' });
const STATUS = readEvent({ action: 'status' });

describe('requireAdmitted', () => {
  for (const arn of [OWN, `${OWN}:$LATEST`, `${OWN}:1`, `${OWN}:administrators`, undefined]) {
    it(`refuses by ${arn ?? 'no ARN'} what is for the alias, and does the rest`, () => {
      assert.throws(() => requireAdmitted(DROP, arn, 'lifecycle,drop-slot'), {
        code: 'ADMIN_ONLY',
        message:
          /^ADMIN_ONLY: The action "drop-slot" .*alias "admin" only\. Nothing was done\. Invoke the same function/,
      });
      assert.throws(() => requireAdmitted(DELETE, arn, 'lifecycle'), { message: /An event of CloudFormation/ });
      requireAdmitted(DROP, arn, 'lifecycle');
      requireAdmitted(STATUS, arn, 'lifecycle,drop-slot,skip-transaction');
    });
  }

  it('does everything through the alias, and where nothing is reserved', () => {
    for (const action of [DROP, DELETE, STATUS]) {
      requireAdmitted(action, `${OWN}:admin`, 'lifecycle,drop-slot,skip-transaction');
      requireAdmitted(action, OWN, undefined);
      requireAdmitted(action, undefined, undefined);
    }
  });
});
