/** Reports to an MCP client what the daemon is doing with a machine while one of its calls runs. */
import { AppError, isAppError } from '../../core/errors.ts';
import type { Caller } from '../../core/keys/caller.ts';
import { sleep } from '../../lib/abort.ts';
import type { HttpDeps } from '../context.ts';

/** `progress` grows; how far it will go is not known. */
export type Report = (progress: number, message: string) => void;

const intervalMs = 250;

/**
 * Reports each step of the operation that is open on the machine, until the returned function is called. Machines and
 * operations that cannot be read are not reported; the call itself says why.
 */
export function followSteps(
  deps: HttpDeps,
  caller: Caller,
  vmId: unknown,
  report: Report,
): () => Promise<void> {
  const ending = new AbortController();
  const { signal } = ending;
  const follow = async () => {
    let reported = 0;
    let last = '';
    while (!signal.aborted) {
      const message = typeof vmId === 'string' ? await currentStep(deps, caller, vmId) : null;
      if (message !== null && message !== last && !signal.aborted) {
        reported += 1;
        last = message;
        report(reported, message);
      }
      await sleep(intervalMs, signal).catch(() => undefined);
    }
  };
  const followed = follow().catch((error: unknown) => deps.log.warn({ err: error }, 'progress not reported'));
  return async () => {
    ending.abort(new AppError('unavailable', 'the call has ended'));
    await followed;
  };
}

/** For example `machine.start: launch`; null when nothing is under way. */
async function currentStep(
  { machines, operations }: HttpDeps,
  { tenant }: Caller,
  vmId: string,
): Promise<string | null> {
  try {
    const { operationId } = await machines.get(tenant, vmId);
    if (operationId === null) return null;
    const { kind, steps } = await operations.get(tenant, operationId);
    const step = steps.at(-1);
    return step === undefined ? null : `${kind}: ${step.name}`;
  } catch (error) {
    if (isAppError(error, 'not_found')) return null;
    throw error;
  }
}
