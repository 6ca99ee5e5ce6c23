/** Provides the operation for requests to `/api/v1/operations`. */
import { isOpen, type Operation, type OperationState } from '../../src/core/operations/operation.ts';
import type { FakeFlotilla } from '../support/fake.ts';

export const operationsPath = '/api/v1/operations';
export const subjectOperationId = 'fuzzedoperation';

const at = '2026-11-22T08:30:00.000Z';
const failed: Operation = {
  id: subjectOperationId,
  tenant: 'default',
  kind: 'machine.start',
  subjects: [{ kind: 'machine', id: 'gone' }],
  params: { previousIncarnation: null },
  state: 'failed',
  steps: [{ name: 'ready', phase: 'undone', output: { kept: 'inside' }, at }],
  isCancelRequested: false,
  failure: { code: 'timed_out', message: 'the guest did not answer within 60 s', step: 'ready' },
  owner: { hostId: 'host', epoch: 1, bootId: 'boot-1' },
  revision: 0,
  createdAt: at,
  updatedAt: at,
};

/** Puts the operation into the state, or removes it. */
export async function arrangeOperation(
  { store }: FakeFlotilla,
  state: OperationState | 'absent',
): Promise<void> {
  const before = await store.operations.get(subjectOperationId);
  // An ended operation cannot be saved any more.
  if (before && isOpen(before)) await store.operations.save(before, { ...before, state: 'failed' });
  await store.operations.prune(0);
  if (state !== 'absent') await store.operations.insert({ ...failed, state });
}
