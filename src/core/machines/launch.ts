/** Creates a machine and starts it, for callers that know no machine that does not run. */
import { AppError } from '../errors.ts';
import type { Asker } from './creation.ts';
import type { Machine } from './machine.ts';
import type { MachineService } from './service.ts';
import type { CreateRequest } from './spec.ts';

type Machines = Pick<MachineService, 'create' | 'start' | 'delete'>;

/** Resolves when the guest answers. If it cannot be started, the machine is deleted. Raises the errors of both. */
export async function launchMachine(
  machines: Machines,
  tenant: string,
  request: CreateRequest,
  asker?: Asker,
): Promise<Machine> {
  const { id } = await machines.create(tenant, request, asker);
  try {
    return (await machines.start(tenant, id)).machine;
  } catch (error) {
    await machines.delete(tenant, id, { force: true }).catch((undeleted: unknown) => {
      throw leftBehind(id, error, undeleted);
    });
    throw error;
  }
}

function leftBehind(id: string, error: unknown, undeleted: unknown): AppError {
  const code = error instanceof AppError ? error.code : 'internal';
  const message = error instanceof Error ? error.message : String(error);
  return new AppError(code, `${message}; machine ${id} could not be deleted and is still there`, {
    cause: undeleted,
    hint: 'Delete it when the host can again.',
  });
}
