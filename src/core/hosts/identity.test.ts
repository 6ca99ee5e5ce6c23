import { expect, test } from 'vitest';
import { decideIdentity, type IdentityFacts } from './identity.ts';

const fresh: IdentityFacts = {
  epochInState: null,
  epochInDatabase: null,
  disks: [],
  recorded: [],
  unowned: [],
  isAdopting: false,
};
const used: IdentityFacts = { ...fresh, epochInState: 7, epochInDatabase: 7, disks: ['a'], recorded: ['a'] };

test.each<[string, IdentityFacts]>([
  ['a new state directory and an empty database', fresh],
  ['a new host on the database of others', { ...fresh, epochInDatabase: null }],
  ['both as the last daemon left them', used],
  ['a daemon that died between its claim and its note', { ...used, epochInDatabase: 8 }],
  ['the first start after an update', { ...fresh, disks: ['a', 'b'], unowned: ['a', 'b'] }],
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
  ['empty where an earlier version ran', { ...fresh, disks: ['a'] }, 'none of the 1 disks'],
])('a database that is %s is refused, and the machines can be adopted into it', (_, facts, reason) => {
  const refusal = { verdict: 'refuse', message: expect.stringContaining(reason) };
  expect(decideIdentity(facts)).toMatchObject({ ...refusal, hint: expect.stringContaining('--adopt-state') });
  expect(decideIdentity({ ...facts, isAdopting: true })).toEqual({ verdict: 'adopt' });
});

test.each<[string, IdentityFacts, string]>([
  ['an older copy', { ...used, epochInDatabase: 5 }, 'an older copy, of daemon 5'],
  [
    'of an earlier version and of another state directory',
    { ...fresh, unowned: ['x'] },
    'none has its disk here',
  ],
  ['foreign to every disk', { ...fresh, disks: ['a'], unowned: ['x'] }, 'none of the 1 disks'],
])('a database that is %s is refused, with --adopt-state too', (_, facts, reason) => {
  for (const isAdopting of [false, true]) {
    expect(decideIdentity({ ...facts, isAdopting })).toMatchObject({
      verdict: 'refuse',
      message: expect.stringContaining(reason),
    });
  }
});
