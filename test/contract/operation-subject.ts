/** The operation that requests ask for, while the fuzz has it there. */
import type { Operation, OperationState } from '../../src/core/operations/operation.ts';
import type { FakeFlotilla } from '../support/fake.ts';

export const operationsPath = '/api/v1/operations';
export const subjectOperationId = 'fuzzedoperation';

const at = '2026-11-22T08:30:00.000Z';
const failed: Operation = {
  id: subjectOperationId,
  tenant: 'default',
  kind: 'machine.start',
  machineId: 'gone',
  params: { previousIncarnation: null },
  state: 'failed',
  steps: [{ name: 'ready', phase: 'undone', output: { kept: 'inside' }, at }],
  isCancelRequested: false,
  failure: { code: 'timed_out', message: 'the guest did not answer within 60 s', step: 'ready' },
  createdAt: at,
  updatedAt: at,
};

/** Puts the operation into the state, or makes it one that was forgotten. */
export async function arrangeOperation(
  { store }: FakeFlotilla,
  state: OperationState | 'absent',
): Promise<void> {
  await store.operations.prune(0);
  const isThere = (await store.operations.get(subjectOperationId)) !== null;
  const wanted = state === 'absent' ? failed : { ...failed, state };
  if (isThere) await store.operations.save(wanted);
  else if (state !== 'absent') await store.operations.insert(wanted);
  if (state === 'absent') await store.operations.prune(0);
}
