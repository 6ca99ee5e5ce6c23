/** Every operation on machines. */
import type { MachineNetworks } from '../../network/networks.ts';
import { defineOperation, type MachineDefinition, type MachineOperation } from '../subject.ts';
import { cloneOperation } from './clone.ts';
import type { Edges } from './context.ts';
import { createOperation } from './create.ts';
import { deleteOperation } from './delete.ts';
import { pauseOperation } from './pause.ts';
import { resumeOperation } from './resume.ts';
import { revertOperation } from './revert.ts';
import { type BootOptions, restartOperation, restoreOperation, startOperation } from './start.ts';
import { stopOperation } from './stop.ts';
import { suspendOperation } from './suspend.ts';

export type MachineOperationKind = Extract<MachineOperation['kind'], `machine.${string}`>;
export type MachineDefinitions = Readonly<Record<MachineOperationKind, MachineDefinition>>;

export function machineDefinitions(
  edges: Edges,
  networks: MachineNetworks,
  boot: BootOptions,
): MachineDefinitions {
  const define = (operation: MachineOperation) => defineOperation(edges, operation);
  return {
    'machine.create': define(createOperation(edges)),
    'machine.clone': define(cloneOperation(edges)),
    'machine.start': define(startOperation(edges, networks, boot)),
    'machine.restore': define(restoreOperation(edges, networks, boot)),
    'machine.restart': define(restartOperation(edges, networks, boot)),
    'machine.stop': define(stopOperation(edges, networks)),
    'machine.pause': define(pauseOperation(edges)),
    'machine.resume': define(resumeOperation(edges, networks)),
    'machine.suspend': define(suspendOperation(edges, networks)),
    'machine.revert': define(revertOperation(edges, networks)),
    'machine.delete': define(deleteOperation(edges, networks)),
  };
}
