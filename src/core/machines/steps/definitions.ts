/** Every operation on machines. */
import { defineOperation, type MachineDefinition, type MachineOperation } from '../subject.ts';
import type { Edges } from './context.ts';
import { createOperation } from './create.ts';
import { deleteOperation } from './delete.ts';
import { pauseOperation } from './pause.ts';
import { resumeOperation } from './resume.ts';
import { type BootOptions, restartOperation, startOperation } from './start.ts';
import { stopOperation } from './stop.ts';

export type MachineOperationKind = Extract<MachineOperation['kind'], `machine.${string}`>;
export type MachineDefinitions = Readonly<Record<MachineOperationKind, MachineDefinition>>;

export function machineDefinitions(edges: Edges, boot: BootOptions): MachineDefinitions {
  const define = (operation: MachineOperation) => defineOperation(edges, operation);
  return {
    'machine.create': define(createOperation(edges)),
    'machine.start': define(startOperation(edges, boot)),
    'machine.restart': define(restartOperation(edges, boot)),
    'machine.stop': define(stopOperation(edges)),
    'machine.pause': define(pauseOperation(edges)),
    'machine.resume': define(resumeOperation(edges)),
    'machine.delete': define(deleteOperation(edges)),
  };
}
