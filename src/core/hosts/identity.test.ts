import { expect, test } from 'vitest';
import { decideIdentity, type IdentityFacts } from './identity.ts';

const disk = (machineId: string, machine: unknown = { revision: 3 }) => ({
  machineId,
  hasRecord: true,
  machine,
});
const row = (id: string, revision = 3) => ({ id, revision });
const fresh: IdentityFacts = {
  hasHosts: false,
  epochInState: null,
  epochInDatabase: null,
  disks: [],
  recorded: [],
  unowned: [],
  isAdopting: false,
};
const used: IdentityFacts = {
  ...fresh,
  epochInState: 7,
  epochInDatabase: 7,
  disks: [disk('a')],
  recorded: [row('a')],
};

test.each<[string, IdentityFacts]>([
  ['a new state directory and an empty database', fresh],
  ['a new host on the database of others', { ...fresh, epochInDatabase: null }],
  ['both as the last daemon left them', used],
  ['a daemon that died between its claim and its note', { ...used, epochInDatabase: 8 }],
  [
    'the first start after an update',
    { ...fresh, disks: [disk('a'), disk('b')], unowned: [row('a'), row('b')] },
  ],
  [
    'a record that an earlier version wrote, and one that cannot be read',
    {
      ...used,
      disks: [disk('a', { id: 'a' }), disk('b', null)],
      recorded: [row('a', 0), row('b', 0)],
    },
  ],
  ['a record that was not written after the last commit', { ...used, recorded: [row('a', 9)] }],
  ['a machine that only its record knows', { ...used, disks: [disk('a'), disk('b')] }],
  [
    'a new host on a database that has machines of another, which was not updated yet',
    { ...fresh, hasHosts: true, unowned: [row('x')] },
  ],
  ['a daemon that died before its first note', { ...used, epochInState: null, epochInDatabase: 1 }],
])('%s fit', (_, facts) => {
  expect(decideIdentity(facts)).toEqual({ verdict: 'fits' });
  expect(decideIdentity({ ...facts, isAdopting: true })).toEqual({ verdict: 'fits' });
});

test.each<[string, IdentityFacts, string]>([
  ['lost', { ...used, epochInDatabase: null, recorded: [] }, 'does not know this host'],
  [
    'lost, and no machine was there',
    { ...used, epochInDatabase: null, recorded: [], disks: [] },
    'does not know',
  ],
  ['empty where an earlier version ran', { ...fresh, disks: [disk('a')] }, 'none of the 1 disks'],
])('a database that is %s is refused, but can adopt the machines', (_, facts, reason) => {
  const refusal = { verdict: 'refuse', message: expect.stringContaining(reason) };
  expect(decideIdentity(facts)).toMatchObject({ ...refusal, hint: expect.stringContaining('--adopt-state') });
  expect(decideIdentity({ ...facts, isAdopting: true })).toEqual({ verdict: 'adopt' });
});

test.each<[string, IdentityFacts, string]>([
  ['an older copy', { ...used, epochInDatabase: 5 }, 'an older copy, of daemon 5'],
  [
    'of an earlier version and of another state directory',
    { ...fresh, unowned: [row('x')] },
    'none has its disk here',
  ],
  ['an older copy of the same daemon', { ...used, recorded: [row('a', 2)] }, 'revision 2 of machine a'],
  [
    'an older copy, before any note',
    { ...used, epochInState: null, epochInDatabase: 1, recorded: [row('a', 2)] },
    'revision 2 of machine a',
  ],
  ['foreign to every disk', { ...fresh, disks: [disk('a')], unowned: [row('x')] }, 'none of the 1 disks'],
])('a database that is %s is refused even with --adopt-state', (_, facts, reason) => {
  for (const isAdopting of [false, true]) {
    expect(decideIdentity({ ...facts, isAdopting })).toMatchObject({
      verdict: 'refuse',
      message: expect.stringContaining(reason),
    });
  }
});
