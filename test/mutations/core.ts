/** Faults of the core and of the store. */
import type { Mutation } from './mutation.ts';

const operations = 'test/crash/operations.test.ts';
const runner = 'src/core/operations/runner.test.ts';
const service = 'src/core/machines/service.test.ts';
const sqlite = 'src/store/sqlite.test.ts';

export const coreMutations: readonly Mutation[] = [
  {
    fault: 'a commit whose answer was lost is taken for a failure',
    guarantee: 'G2',
    file: 'src/core/operations/journal.ts',
    from: 'if (isCommitted) return last.value;',
    to: '',
    caughtBy: { file: operations, test: 'machine.start.*any one commit is lost' },
  },
  {
    fault: 'an operation that has ended is written again',
    guarantee: 'G2',
    file: 'src/store/operations.ts',
    from: ".where('state', 'in', openStates)\n      .where('host_id', '=', owner.hostId)",
    to: ".where('host_id', '=', owner.hostId)",
    caughtBy: { file: sqlite, test: 'saves only if the stored operation is unchanged' },
  },
  {
    fault: 'a write does not look at the revision it was made from',
    guarantee: 'G2',
    file: 'src/store/operations.ts',
    from: ".where('revision', '=', revision)",
    to: '',
    caughtBy: { file: sqlite, test: 'saves only if the stored operation is unchanged' },
  },
  {
    fault: 'a daemon that was replaced goes on writing',
    guarantee: 'G2',
    file: 'src/core/hosts/fence.ts',
    from: 'if ((await tx.hosts.epoch(hostId)) === epoch) return work(tx);',
    to: 'return work(tx);',
    caughtBy: { file: runner, test: 'a replaced daemon writes nothing more' },
  },
  {
    fault: 'a stop that fails before its first step leaves its VMM running',
    guarantee: 'G2',
    file: 'src/core/machines/steps/stop.ts',
    from: 'isOwedFromBegin: true,',
    to: '',
    caughtBy: { file: operations, test: 'machine.stop.*any one commit is refused' },
  },
  {
    fault: 'a step that ignores its deadline is waited for',
    guarantee: 'G4',
    file: 'src/core/operations/bounded.ts',
    from: 'return await abortable(working, signal);',
    to: 'return await working;',
    caughtBy: { file: runner, test: 'a create whose disk hangs fails' },
  },
  {
    fault: 'the look after a failed undo comes while the operation is open',
    guarantee: 'G2',
    file: 'src/core/operations/runner.ts',
    from: "      run.hasLeftovers = true;\n    }\n    return { type: 'step_undone' };",
    to: "      this.#deps.onLeftUndone();\n    }\n    return { type: 'step_undone' };",
    caughtBy: { file: runner, test: 'the reconciler looks for leftovers of a failed undo after' },
  },
  {
    fault: 'a VMM that the reboot ended counts as one that died',
    guarantee: 'G5',
    file: 'src/core/reconcile/plan.ts',
    from: 'if (machine.bootId !== null && machine.bootId !== observed.bootId) {',
    to: 'if (machine.bootId === null) {',
    caughtBy: { file: service, test: 'machines that should run are started again' },
  },
  {
    fault: 'memory is not reserved',
    guarantee: 'G15',
    file: 'src/core/machines/service.ts',
    from: 'await reserveMemory(tx, seen, this.#deps.capacity);',
    to: 'void [tx, reserveMemory];',
    caughtBy: { file: service, test: 'is reserved at start' },
  },
  {
    fault: 'a freed uid is handed out again at once',
    guarantee: 'G12',
    file: 'src/store/allocations.ts',
    from: 'await firstFree(db, request, latest + 1, max)',
    to: 'await firstFree(db, request, request.min, max)',
    caughtBy: { file: sqlite, test: 'reuses a freed one only after the rest of the range' },
  },
  {
    fault: 'a change that the reconciler makes wakes nobody',
    guarantee: 'G3',
    file: 'src/store/machines.ts',
    from: "await recordEvent(db, eventOf(after, 'machine.changed', { fields: Object.keys(details) }));",
    to: '',
    caughtBy: { file: service, test: 'notifies listeners of its changes' },
  },
  {
    fault: 'on PostgreSQL events of a transaction that commits late are skipped',
    guarantee: 'G6',
    file: 'src/store/events.ts',
    from: 'xid < pg_snapshot_xmin(pg_current_snapshot())::text::bigint',
    to: 'xid > 0',
    caughtBy: { file: 'src/store/postgres-bell.test.ts', test: 'an event waits for earlier transactions' },
  },
  {
    fault: 'a machine rests although somebody came when that was decided',
    guarantee: 'G55',
    file: 'src/core/machines/idle-keeper.ts',
    from: 'if (isUnused && isDue &&',
    to: 'if (isDue &&',
    caughtBy: {
      file: 'src/core/machines/idle-keeper.test.ts',
      test: 'that comes while it is being decided',
    },
  },
  {
    fault: 'a key of the daemon is passed on to a guest',
    guarantee: 'G54',
    file: 'src/proxy/headers.ts',
    from: 'else if (isOwnCredential(lower, value)) continue;',
    to: '',
    caughtBy: { file: 'src/proxy/reverse-proxy.test.ts', test: 'what the program needs to know' },
  },
];
