import { expect, test } from 'vitest';
import { noNetwork } from '../../../core/network/machine-network.ts';
import type { PublishedPort } from '../../../core/ports/network.ts';
import { toNetworkBody } from './network-translate.ts';
import { machineStatuses } from './schema.ts';
import { statesOf, statesToWaitFor } from './translate.ts';

test('a filter includes transit states shown with the status; a wait only stable ones', () => {
  expect(statesOf('running')).toEqual(expect.arrayContaining(['running', 'pausing']));
  expect(statesToWaitFor('running')).toEqual(['running']);
  expect(statesToWaitFor('paused')).toEqual(['paused']);
  expect(statesToWaitFor('pending')).toEqual(['created']);
});

test('it is possible to wait for every status', () => {
  for (const status of machineStatuses) expect(statesToWaitFor(status), status).not.toEqual([]);
});

test('a machine says what its host does without a bridge', () => {
  const facts = {
    kind: 'user',
    reason: 'not root',
    ipv4: '10.77.0.0/16',
    ipv6: null,
    lan: { bridges: [], reason: null },
  } as const;
  const noteOf = (kind: 'bridge' | 'user', ...ports: readonly PublishedPort[]) => {
    const network = { ...noNetwork, mode: 'nat', address: '10.77.0.2', ports } as const;
    return toNetworkBody({
      facts: { ...facts, kind },
      network,
      mac: null,
      ipv4: null,
      ipv6: null,
      gateway: null,
      reported: null,
      note: null,
    }).note;
  };
  const tcp = { protocol: 'tcp', bind: '127.0.0.1', hostPort: 80, guestPort: 80 } as const;
  expect(noteOf('bridge', tcp)).toBeNull();
  expect(noteOf('user')).toBe('it reaches nothing on this host: not root');
  const carried = 'it reaches nothing on this host; the daemon carries connections to its published ports';
  expect(noteOf('user', tcp)).toBe(`${carried}: not root`);
  expect(noteOf('user', tcp, { ...tcp, protocol: 'udp' })).toBe(
    `${carried}, and those of UDP lead nowhere: not root`,
  );
});
