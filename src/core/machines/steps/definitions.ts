/** Every operation on machines. */
import type { OperationKind } from '../../operations/operation.ts';
import type { OperationDefinition } from '../../operations/runner.ts';
import type { Edges } from './context.ts';
import { createOperation } from './create.ts';
import { deleteOperation } from './delete.ts';
import { pauseOperation } from './pause.ts';
import { resumeOperation } from './resume.ts';
import { type BootOptions, restartOperation, startOperation } from './start.ts';
import { stopOperation } from './stop.ts';

export type OperationDefinitions = Readonly<Record<OperationKind, OperationDefinition>>;

export function operationDefinitions(edges: Edges, boot: BootOptions): OperationDefinitions {
  return {
    'machine.create': createOperation(edges),
    'machine.start': startOperation(edges, boot),
    'machine.restart': restartOperation(edges, boot),
    'machine.stop': stopOperation(edges),
    'machine.pause': pauseOperation(edges),
    'machine.resume': resumeOperation(edges),
    'machine.delete': deleteOperation(edges),
  };
}
