/** Whether this host can carry out what was asked for, in the words of TTstack's scheduler. */
import { type AppError, isAppError } from '../../../core/errors.ts';
import type { HostService } from '../../../core/hosts/service.ts';
import { AllAttemptsFailed, Unschedulable } from './errors.ts';
import type { WantedVm } from './translate.ts';

/** Raises `Unschedulable` when the host lacks the engine, or no machine can be that large. */
export function requireFit(hosts: Pick<HostService, 'limitsOf'>, wanted: WantedVm): void {
  const limits = hosts.limitsOf(wanted.engine);
  if (limits === null) throw new Unschedulable(`no online host supports engine=${wanted.engine}`);
  const { cpu, mem, disk } = wanted;
  if (cpu > limits.vcpuCountMax || mem > limits.memoryMibMax || disk > limits.diskMibMax)
    throw noResources(wanted);
}

/** The same for what core finds: an image that is not there, memory that is taken. */
export function schedulingError(error: unknown, wanted: readonly WantedVm[]): unknown {
  const [first] = wanted;
  if (!isAppError(error) || first === undefined) return error;
  if (error.code === 'engine' && error.details?.isTotal === true) return new AllAttemptsFailed(error);
  if (error.code === 'exhausted' && error.details?.resource === 'memory') {
    const largest = wanted.reduce((one, other) => (other.mem > one.mem ? other : one));
    return noResources(largest, error);
  }
  if (error.code === 'not_found' && typeof error.details?.image === 'string') {
    const { image } = error.details;
    const { engine } = wanted.find((each) => each.image === image) ?? first;
    const hint = error.hint === undefined ? {} : { hint: error.hint };
    return new Unschedulable(`no host has image '${image}' for engine=${engine}`, { cause: error, ...hint });
  }
  return error;
}

function noResources({ engine, cpu, mem, disk }: WantedVm, cause?: AppError): AppError {
  const needs = `engine=${engine}, cpu=${cpu}, mem=${mem}MB, disk=${disk}MB`;
  return new Unschedulable(`no host has enough resources for ${needs}`, { cause });
}
