/** The package's exports. */
export { FlotillaClient } from './client.ts';
export type { FollowConsoleOptions } from './console.ts';
export { clientErrorCodes, FlotillaError } from './errors.ts';
export { type LaunchMachine, MachineHandle, type RunOptions, type RunResult } from './handle.ts';
export type { Images, ImageUploadOptions } from './images.ts';
export type { Keys } from './keys.ts';
export type { ActionOptions, DeleteOptions, Machines } from './machines.ts';
export type { Operations } from './operations.ts';
export type { StreamOptions } from './stream.ts';
export type { CallOptions, FetchLike, TransportOptions } from './transport.ts';
export {
  type ConsoleQuery,
  type CreatedKey,
  type CreateKey,
  type CreateMachine,
  type ExecEvent,
  type ExecOutcome,
  type ExecOutput,
  type ExecRequest,
  type ExecResult,
  type Health,
  type Image,
  type ImageList,
  type ImportImage,
  type Key,
  type KeyList,
  type Machine,
  type MachineCreate,
  type MachineFailure,
  type MachineList,
  type MachineListQuery,
  type MachineStatus,
  type MachineSummary,
  machineStatuses,
  type Operation,
  type OperationFailure,
  type OperationList,
  type OperationState,
  type OperationStep,
  operationStates,
  type RestartPolicy,
  restartPolicies,
  type Scope,
  scopes,
  type UpdateMachine,
  type WaitQuery,
} from './types.ts';
export type { UploadOptions, UploadSource } from './upload.ts';
