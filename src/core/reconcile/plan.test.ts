import { describe, expect, test } from 'vitest';
import type { Machine } from '../machines/machine.ts';
import type { MachineState } from '../machines/states.ts';
import { noNetwork } from '../network/machine-network.ts';
import type { Operation } from '../operations/operation.ts';
import type { EngineStatus } from '../ports/engine.ts';
import { findUnknown, type Observed, planRepairs } from './plan.ts';

const machine = (id: string, state: MachineState): Machine =>
  ({ id, state, incarnation: `boot-${id}`, bootId: 'today', spec: { network: noNetwork } }) as Machine;

function observed(fields: Partial<Observed> = {}): Observed {
  return {
    hostId: 'here',
    bootId: 'today',
    freeMib: 1000,
    statuses: new Map(),
    strays: new Set(),
    incarnations: new Map(),
    disks: [],
    attached: [],
    behind: new Set(),
    ...fields,
  };
}

const status = (id: string, value: EngineStatus) => new Map([[`boot-${id}`, value]]);

const began = (hostId: string | null, ...incarnations: readonly string[]) =>
  new Map([['qemu', incarnations.map((incarnation) => ({ incarnation, hostId }))]]);
const ours = (...incarnations: readonly string[]) => began('here', ...incarnations);

describe('planRepairs', () => {
  test('adopts a machine that runs as recorded', () => {
    const web = machine('web', 'running');
    const repairs = planRepairs([web], [], observed({ statuses: status('web', { state: 'running' }) }));
    expect(repairs).toEqual([{ kind: 'adopt', machine: web }]);
  });

  test('reports how a VMM ended, or that a vanished VMM’s exit was not seen', () => {
    const facts = { kind: 'powered_off', exitCode: 0, signal: null, reason: 'off' } as const;
    const web = machine('web', 'running');
    expect(planRepairs([web], [], observed({ statuses: status('web', { state: 'exited', facts }) }))).toEqual(
      [{ kind: 'exited', machine: web, facts }],
    );
    expect(planRepairs([web], [], observed({ statuses: status('web', { state: 'absent' }) }))).toMatchObject([
      { kind: 'exited', facts: { kind: 'died' } },
    ]);
  });

  test('leaves a machine alone that could not be inspected', () => {
    expect(planRepairs([machine('web', 'running')], [], observed())).toEqual([]);
  });

  test('ends the VMM of a machine at rest, and leaves that of an open operation alone', () => {
    const strays = new Set(['boot-web']);
    for (const state of ['created', 'stopped', 'failed'] as const) {
      expect(planRepairs([machine('web', state)], [], observed({ strays }))).toMatchObject([
        { kind: 'end_stray' },
      ]);
    }
    for (const state of ['starting', 'stopping', 'deleting'] as const) {
      expect(planRepairs([machine('web', state)], [], observed({ strays }))).toEqual([]);
    }
  });

  test('removes what no machine owns; a stopped machine keeps its last console', () => {
    const seen = observed({
      incarnations: ours('boot-web', 'boot-ghost'),
      disks: ['web', 'ghost'],
    });
    expect(planRepairs([machine('web', 'stopped')], [], seen)).toEqual([
      { kind: 'destroy_orphan', engine: 'qemu', incarnation: 'boot-ghost' },
      { kind: 'quarantine_disk', machineId: 'ghost' },
    ]);
  });

  test.each(['elsewhere', '', null])('does not end a VMM started by a daemon of host %j', (hostId) => {
    const seen = observed({ incarnations: began(hostId, 'boot-web', 'boot-ghost') });
    const recorded = [[machine('web', 'stopped')], [], seen] as const;
    expect(planRepairs(...recorded)).toEqual([]);
    expect(findUnknown(...recorded)).toEqual([{ engine: 'qemu', incarnation: 'boot-ghost', hostId }]);
  });

  test('a machine whose record is damaged keeps its disk and VMM', () => {
    const seen = observed({ incarnations: ours('boot-web'), disks: ['web'] });
    expect(planRepairs([], [], seen, [{ id: 'web', incarnation: 'boot-web' }])).toEqual([]);
  });

  test('a foreign machine keeps its disk and VMM', () => {
    const seen = observed({
      incarnations: ours('boot-web', 'boot-other'),
      disks: ['web', 'x'],
    });
    expect(planRepairs([], [], seen, [], [{ machineId: 'web', incarnation: 'boot-web' }])).toEqual([
      { kind: 'destroy_orphan', engine: 'qemu', incarnation: 'boot-other' },
      { kind: 'quarantine_disk', machineId: 'x' },
    ]);
  });

  test('while a foreign machine’s VMM is unknown, no unknown VMM is ended', () => {
    const incarnations = ours('boot-web');
    const unknown = [{ machineId: 'web', incarnation: 'unknown' }] as const;
    expect(planRepairs([], [], observed({ incarnations, disks: ['web'] }), [], unknown)).toEqual([]);
    expect(planRepairs([], [], observed({ incarnations, disks: null }))).toEqual([]);
  });

  test('leaves the incarnation before a starting one to its operation', () => {
    const restarting = { ...machine('web', 'starting'), operationId: 'op' } as Machine;
    const operation = { id: 'op', params: { previousIncarnation: 'boot-before' } } as unknown as Operation;
    const seen = observed({ incarnations: ours('boot-before') });
    expect(planRepairs([restarting], [operation], seen)).toEqual([]);
    expect(planRepairs([restarting], [], seen)).toMatchObject([{ kind: 'destroy_orphan' }]);
  });

  test('after a host reboot, a machine that ran is started again if it should run, else stopped', () => {
    const seen = observed({ bootId: 'tomorrow', statuses: status('web', { state: 'absent' }) });
    const web = { ...machine('web', 'running'), desired: 'running' } as Machine;
    expect(planRepairs([web], [], seen)).toMatchObject([{ kind: 'host_rebooted', isToRun: true }]);
    expect(planRepairs([{ ...web, desired: 'stopped' }], [], seen)).toMatchObject([
      { kind: 'host_rebooted', isToRun: false },
    ]);
  });

  test('corrects a guest that runs while paused, or is paused while running', () => {
    const still = status('web', { state: 'paused', reason: 'on_request' });
    const kinds = (state: MachineState, statuses: typeof still) =>
      planRepairs([machine('web', state)], [], observed({ statuses })).map(({ kind }) => kind);
    expect(kinds('paused', still)).toEqual(['adopt']);
    expect(kinds('paused', status('web', { state: 'running' }))).toEqual(['adopt', 'pause']);
    expect(kinds('running', still)).toEqual(['adopt', 'resume']);
    for (const state of ['pausing', 'resuming'] as const) expect(kinds(state, still)).toEqual([]);
  });

  test('a paused machine stays paused even on a full disk, and is stopped by a host reboot', () => {
    const web = { ...machine('web', 'paused'), desired: 'running' } as Machine;
    const full = status('web', { state: 'paused', reason: 'disk_full' });
    for (const freeMib of [1, 1000])
      expect(planRepairs([web], [], observed({ statuses: full, freeMib }))).toMatchObject([
        { kind: 'adopt' },
      ]);
    const gone = observed({ bootId: 'tomorrow', statuses: status('web', { state: 'absent' }) });
    expect(planRepairs([web], [], gone)).toMatchObject([{ kind: 'host_rebooted', isToRun: false }]);
  });

  test('marks a guest that waits for disk space, resumes it when there is some, and unmarks it when it runs', () => {
    const paused = status('web', { state: 'paused', reason: 'disk_full' });
    const web = machine('web', 'running');
    const marked = { ...web, failure: { code: 'disk_full', message: '', at: '', console: [] } };
    const kinds = (given: Machine, fields: Partial<Observed>) =>
      planRepairs([given], [], observed(fields)).map(({ kind }) => kind);
    expect(kinds(web, { statuses: paused, freeMib: 1 })).toEqual(['adopt', 'mark_disk_full']);
    expect(kinds(marked, { statuses: paused, freeMib: 1 })).toEqual(['adopt']);
    expect(kinds(marked, { statuses: paused, freeMib: 1000 })).toEqual(['adopt', 'resume']);
    expect(kinds(marked, { statuses: status('web', { state: 'running' }) })).toEqual([
      'adopt',
      'clear_disk_full',
    ]);
  });

  test.each(['internal_error', 'io_error', 'guest_panicked'])(
    'fails a machine whose guest can never continue: %s',
    (reason) => {
      const statuses = status('web', { state: 'paused', reason });
      for (const state of ['running', 'paused'] as const)
        expect(planRepairs([machine('web', state)], [], observed({ statuses }))).toMatchObject([
          {
            kind: 'exited',
            facts: { kind: 'died', reason: expect.stringContaining(reason.split('_')[0] ?? '') },
          },
        ]);
    },
  );
});
