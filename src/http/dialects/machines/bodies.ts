/** Collects what is shown of a machine besides its record: of routes that answer with machines. */
import { type Caller, hasScope } from '../../../core/keys/caller.ts';
import type { Machine } from '../../../core/machines/machine.ts';
import type { HttpDeps } from '../../context.ts';
import type { MachineBody } from './schema.ts';
import { type BootPaths, toMachineBody } from './translate.ts';

type Deps = Pick<HttpDeps, 'machines' | 'images' | 'disks'>;

/** Makes the body of a machine, with what its caller may see. */
export function machineBodies(deps: Deps): (caller: Caller, machine: Machine) => Promise<MachineBody> {
  const { machines } = deps;
  return async (caller, machine) => {
    const facts = {
      warnings: machines.warningsOf(machine),
      link: machines.linkTrouble(machine),
      network: machines.networkOf(machine),
      ssh: machines.sshPortOf(machine),
    };
    return toMachineBody(machine, await bootPaths(deps, machine), facts, {
      isOperator: caller.isOperator,
      canExec: hasScope(caller, 'machines:exec'),
    });
  };
}

/** Only for display: a hanging disk must not delay the answer. */
const bootKitTimeoutMs = 5_000;

async function bootPaths({ machines, images, disks }: Deps, machine: Machine): Promise<BootPaths> {
  const { id, imageDigest } = machine;
  const kit =
    images.knownBootKit(imageDigest) ??
    (await images.bootKit(imageDigest, AbortSignal.timeout(bootKitTimeoutMs)).catch(() => null));
  return {
    kernelPath: kit?.kernelPath ?? null,
    kernelArgs: machines.kernelArgsOf(machine, kit),
    rootfsPath: disks.locate(id, imageDigest).path,
  };
}
