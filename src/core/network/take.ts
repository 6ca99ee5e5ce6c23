/** Takes a certain number of the host for a machine, in the caller's transaction. */
import { AppError, isAppError } from '../errors.ts';
import type { AllocationRequest, Repositories } from '../ports/store.ts';

/** Who takes something, where and when. */
export type Owner = Pick<AllocationRequest, 'hostId' | 'owner' | 'at'>;

/** Raises `conflict` when it is taken. */
export async function takeCertain(
  tx: Repositories,
  request: Omit<AllocationRequest, 'min' | 'max'>,
  value: number,
  what: string,
): Promise<void> {
  try {
    await tx.allocations.take({ ...request, min: value, max: value });
  } catch (error) {
    if (!isAppError(error, 'exhausted')) throw error;
    throw new AppError('conflict', `${what} is taken by another machine`, {
      cause: error,
      hint: 'Ask for another one, or for none to get a free one.',
    });
  }
}
