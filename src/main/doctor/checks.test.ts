import { describe, expect, it } from 'vitest';
import type { Observed, Repair } from '../../core/reconcile/plan.ts';
import type { Finding } from '../../setup/doctor/finding.ts';
import { StateLayout } from '../../storage/layout.ts';
import { sampleMachine, sampleOperation } from '../../store/testing/samples.ts';
import { checkDaemon, type DaemonFacts } from './daemon.ts';
import { checkEngine, checkLimits } from './engines.ts';
import {
  checkDisks,
  checkForeign,
  checkOperations,
  checkRepairs,
  checkStrangers,
  recordedMachine,
  summarise,
} from './machines.ts';
import { checkSchema } from './records.ts';

const layout = new StateLayout('/state');
const stopped = { layout, isDaemonRunning: false };
const running = { layout, isDaemonRunning: true };
const levels = (findings: readonly Finding[]) => findings.map(({ level }) => level);
const machine = sampleMachine({ id: 'm1', name: 'web' });

describe('records and observations', () => {
  it('names a foreign machine, and what to do', () => {
    const [found] = checkForeign([{ machineId: 'm2', incarnation: 'boot2' }], running);
    expect(found).toMatchObject({ level: 'warn', subject: 'disk m2' });
    expect(found?.message).toContain('machine of another database');
    expect(found?.hint).toContain('--adopt-state');
    expect(found?.hint).toContain('mv /state/disks/m2 /state/quarantine/m2.0');
  });

  it('names orphans by their path and says who removes them', () => {
    const repairs: readonly Repair[] = [
      { kind: 'destroy_orphan', engine: 'qemu', incarnation: 'boot1' },
      { kind: 'quarantine_disk', machineId: 'ghost' },
    ];
    const found = checkRepairs(repairs, stopped);
    expect(found).toMatchObject([
      { level: 'warn', message: expect.stringContaining('/state/run/boot1') },
      { level: 'warn', message: expect.stringContaining('/state/disks/ghost') },
    ]);
    expect(found[0]?.hint).toContain('./flotilla up');
    expect(checkRepairs(repairs, running)[0]?.hint).toContain('/state/daemon.log');
  });

  it('names a VMM that no daemon of this host started, and how to end it', () => {
    const unknown = { engine: 'qemu', incarnation: 'boot1' };
    const [theirs, nobodys] = checkStrangers(
      [
        { ...unknown, hostId: 'other' },
        { ...unknown, hostId: null },
      ],
      running,
    );
    expect(theirs).toMatchObject({ level: 'warn', message: expect.stringContaining('host other began it') });
    expect(nobodys).toMatchObject({ level: 'warn', message: expect.stringContaining('nothing says whose') });
    expect(theirs?.hint).toContain('/state/run/boot1/vmm.json');
  });

  it('says how a VMM ended', () => {
    const facts = { kind: 'died', exitCode: null, signal: 'SIGKILL', reason: 'killed' } as const;
    const [found] = checkRepairs([{ kind: 'exited', machine, facts }], stopped);
    expect(found).toMatchObject({ subject: 'machine web', message: expect.stringContaining('killed') });
  });

  it('reports no machine that runs as it should', () => {
    expect(checkRepairs([{ kind: 'adopt', machine }], stopped)).toEqual([]);
  });

  it('counts running machines', () => {
    const web = sampleMachine({ state: 'running', incarnation: 'b1' });
    const observed = { statuses: new Map([['b1', { state: 'running' }]]) } as unknown as Observed;
    expect(summarise([web, machine], observed).message).toBe('2 recorded, 1 running');
    expect(summarise([], observed).message).toBe('none recorded');
  });
});

describe('operations', () => {
  const operation = sampleOperation({
    id: 'op1',
    subjects: [{ kind: 'machine', id: 'm1' }],
    kind: 'machine.start',
  });
  const starting = sampleMachine({ id: 'm1', name: 'web', state: 'starting', operationId: 'op1' });

  it('are only reported if they are open while no daemon runs', () => {
    expect(levels(checkOperations([starting], [operation], running))).toEqual(['ok']);
    expect(checkOperations([starting], [operation], stopped)).toMatchObject([
      {
        level: 'warn',
        subject: 'machine web',
        message: expect.stringContaining('taken up at the next start'),
      },
    ]);
  });

  it('that a machine waits for but that are not open are an error', () => {
    expect(levels(checkOperations([starting], [], stopped))).toEqual(['error']);
  });
});

describe('disks', () => {
  it('that are missing are an error, unless they are being made', () => {
    const creating = sampleMachine({ state: 'creating', operationId: 'op1' });
    expect(checkDisks([machine, creating], () => false, stopped)).toMatchObject([
      { level: 'error', message: expect.stringContaining('/state/disks/m1/root.qcow2') },
    ]);
    expect(checkDisks([machine], () => true, stopped)).toEqual([]);
  });

  it('are not required of a machine in transit', () => {
    expect(recordedMachine(sampleMachine({ state: 'deleting', operationId: 'o' })).isInTransit).toBe(true);
    expect(recordedMachine(machine).isInTransit).toBe(false);
  });
});

describe('the schema', () => {
  const known = [
    { version: 1, name: 'one' },
    { version: 2, name: 'two' },
  ];

  it('is fine when it is the newest, and an older one will be migrated', () => {
    expect(checkSchema(known, known).level).toBe('ok');
    expect(checkSchema(known.slice(0, 1), known).level).toBe('warn');
  });

  it('is an error when it is newer than the program or of another build', () => {
    expect(checkSchema([...known, { version: 3, name: 'three' }], known)).toMatchObject({ level: 'error' });
    expect(checkSchema([{ version: 1, name: 'other' }], known)).toMatchObject({ level: 'error' });
  });
});

describe('the daemon', () => {
  const good: DaemonFacts = {
    pid: 7,
    isAlive: true,
    answer: { url: 'http://x', version: '1.0.0' },
    url: 'http://x',
    ownVersion: '1.0.0',
    logFile: '/state/daemon.log',
  };

  it('is fine when it answers and when there is none', () => {
    expect(levels(checkDaemon(good))).toEqual(['ok', 'ok']);
    expect(levels(checkDaemon({ ...good, pid: null, isAlive: false, answer: null }))).toEqual(['ok']);
  });

  it('that has crashed is a warning that names its log', () => {
    expect(checkDaemon({ ...good, isAlive: false, answer: null })).toMatchObject([
      { level: 'warn', hint: expect.stringContaining('/state/daemon.log') },
    ]);
  });

  it('that runs but does not answer is an error', () => {
    expect(levels(checkDaemon({ ...good, answer: null }))).toEqual(['error']);
  });

  it('of another version is a warning', () => {
    expect(checkDaemon({ ...good, ownVersion: '2.0.0' })).toMatchObject([
      { level: 'ok' },
      { level: 'warn', message: expect.stringContaining('2.0.0') },
    ]);
  });
});

describe('engines', () => {
  const probe = { isAvailable: true, accelerator: 'tcg', version: '7.2.0', missing: [], notes: [] };

  it('name the accelerator found, and why there is no better one', () => {
    const note = 'no KVM: nothing booted within 5000 ms';
    expect(checkEngine('qemu', { ...probe, notes: [note] }, [])).toMatchObject([
      { level: 'ok', message: expect.stringContaining('tcg') },
      { level: 'warn', message: note, hint: expect.stringContaining('slower') },
    ]);
  });

  it('that cannot work say what is missing', () => {
    const missing = { ...probe, isAvailable: false, missing: ['qemu is not installed'] };
    expect(checkEngine('qemu', missing, [])).toMatchObject([
      { level: 'error', message: 'qemu is not installed', hint: './flotilla setup' },
    ]);
    expect(levels(checkEngine('qemu', { ...missing, missing: [] }, []))).toEqual(['error']);
  });

  it('do not report the host’s own limits', () => {
    const note = 'no pids limit for machines: EROFS';
    expect(levels(checkEngine('qemu', { ...probe, notes: [note] }, [note]))).toEqual(['ok']);
    expect(checkLimits([note])).toMatchObject([{ level: 'warn', message: note }]);
    expect(levels(checkLimits([]))).toEqual(['ok']);
  });
});
