import { expect, it } from 'vitest';
import { noNetwork } from '../network/machine-network.ts';
import { checkChange, checkMachine } from './invariants.ts';
import type { Machine } from './machine.ts';
import { isTransit, type MachineState, machineStates } from './states.ts';

const machine: Machine = {
  id: 'm1',
  hostId: 'host',
  tenant: 'default',
  environmentId: null,
  spec: {
    name: 'web',
    vcpuCount: 1,
    memoryMib: 128,
    diskMib: 512,
    image: 'busybox',
    imageRef: 'busybox',
    engine: 'fake',
    boot: 'auto',
    exposedPorts: [],
    labels: {},
    env: {},
    restart: 'no',
    autoWake: true,
    heldUntil: null,
    idle: null,
    template: null,
    snapshot: null,
    userData: null,
    sshKeys: [],
    sshPort: null,
    network: noNetwork,
    lifetimeSeconds: null,
    onExpire: 'delete',
    lifetimeCounts: 'unless_paused',
  },
  imageDigest: `sha256:${'0'.repeat(64)}`,
  state: 'created',
  desired: 'stopped',
  operationId: null,
  incarnation: 'i1',
  bootId: null,
  handle: null,
  failure: null,
  slot: 1,
  revision: 0,
  createdAt: '2026-01-01T00:00:00.000Z',
  updatedAt: '2026-01-01T00:00:00.000Z',
  startedAt: null,
  expiresAt: null,
  remainingMs: null,
  restartAt: null,
  restartCount: 0,
  idleAt: null,
  provisioning: null,
  savedMemory: null,
};

const handle = {
  engine: 'fake',
  version: 1,
  incarnation: 'i1',
  guest: { transport: 'memory', key: 'i1' },
  pid: null,
  controlSocket: null,
  data: {},
} as const;

const needsHandle = (state: MachineState) => ['pausing', 'paused', 'resuming'].includes(state);

it.each(machineStates)(
  'allows a lifetime that stands still in %s only on the way into, or out of, a pause',
  (state) => {
    const given: Machine = {
      ...machine,
      ...{ state, operationId: isTransit(state) ? 'op1' : null, handle: needsHandle(state) ? handle : null },
    };
    const never = ['creating', 'created', 'running', 'pausing', 'stopped', 'failed', 'deleted'];
    const broken = never.includes(state) ? [`${state} with a lifetime that stands still`] : [];
    expect(checkMachine({ ...given, remainingMs: 1 })).toEqual(broken);
  },
);

it('refuses a lifetime that runs and stands still', () => {
  const times = { remainingMs: 1, expiresAt: machine.createdAt };
  expect(checkMachine({ ...machine, state: 'paused', handle, ...times })).toEqual([
    'a lifetime that runs and stands still',
  ]);
});

it.each(machineStates)('requires an operation in %s if and only if that is a transit state', (state) => {
  const given: Machine = { ...machine, state, handle: needsHandle(state) ? handle : null };
  const withOne = checkMachine({ ...given, operationId: 'op1' });
  const without = checkMachine(given);
  expect(withOne).toEqual(isTransit(state) ? [] : [`${state} with an operation`]);
  expect(without).toEqual(isTransit(state) ? [`${state} without an operation`] : []);
});

it.each(machineStates)('allows a handle in %s only if a VMM may run', (state) => {
  const operationId = isTransit(state) ? 'op1' : null;
  const isAllowed = !['creating', 'created', 'suspended', 'stopped', 'deleted'].includes(state);
  expect(checkMachine({ ...machine, state, operationId, handle })).toEqual(
    isAllowed ? [] : [`${state} with an engine handle`],
  );
});

it.each(machineStates)('requires a handle in %s if and only if that state needs a VMM', (state) => {
  const operationId = isTransit(state) ? 'op1' : null;
  expect(checkMachine({ ...machine, state, operationId })).toEqual(
    needsHandle(state) ? [`${state} without an engine handle`] : [],
  );
});

it('requires the handle to belong to the current incarnation', () => {
  const running: Machine = { ...machine, state: 'running', handle };
  expect(checkMachine(running)).toEqual([]);
  expect(checkMachine({ ...running, incarnation: 'i2' })).toEqual([
    'an engine handle of another incarnation',
  ]);
});

it('requires an incarnation while starting, and always a slot', () => {
  const starting: Machine = { ...machine, state: 'starting', operationId: 'op1', incarnation: null, slot: 0 };
  expect(checkMachine(starting)).toEqual(['starting without an incarnation', 'a slot below 1']);
});

it('requires a change to follow the table', () => {
  expect(checkChange(machine, { ...machine, state: 'deleting' })).toEqual([]);
  expect(checkChange(machine, { ...machine, state: 'paused' })).toEqual(['created does not lead to paused']);
});

it('requires a new incarnation on entering starting, and nowhere else', () => {
  const starting: Machine = { ...machine, state: 'starting', incarnation: 'i2' };
  expect(checkChange(machine, starting)).toEqual([]);
  expect(checkChange(machine, { ...starting, incarnation: 'i1' })).toEqual([
    'starting with the old incarnation',
  ]);
  expect(checkChange(starting, { ...starting, state: 'running' })).toEqual([]);
  expect(checkChange(starting, { ...starting, state: 'running', incarnation: 'i3' })).toEqual([
    'a new incarnation on entering running',
  ]);
});
