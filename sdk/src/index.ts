/** The package's exports. */
export { FlotillaClient } from './client.ts';
export type { FollowConsoleOptions } from './console.ts';
export type { Environments } from './environments.ts';
export { clientErrorCodes, FlotillaError } from './errors.ts';
export type { ExecStreamOptions } from './exec-stream.ts';
export type { ExecOutputOptions, Execs, ExecWaitOptions, ExecWriteOptions, MachineExecs } from './execs.ts';
export type {
  FileAttributes,
  Files,
  PackOptions,
  ReadFileOptions,
  UnpackOptions,
  WatchOptions,
  WriteFileOptions,
} from './files.ts';
export {
  CommandError,
  type LaunchMachine,
  MachineHandle,
  type RunOptions,
  type RunResult,
} from './handle.ts';
export type { Images, ImageUploadOptions } from './images.ts';
export type { Keys } from './keys.ts';
export { type ConnectOptions, Machine } from './machine.ts';
export type { ActionOptions, CancellableOptions, DeleteOptions, Machines, StopOptions } from './machines.ts';
export type { Network } from './network.ts';
export type { Operations } from './operations.ts';
export type { Quotas } from './quotas.ts';
export type { ReconnectOptions } from './reconnection.ts';
export type { Routes } from './routes.ts';
export type { Snapshots } from './snapshots.ts';
export type { SocketFactory, SocketLike, SocketRequest } from './socket.ts';
export type { SshKeys } from './ssh-keys.ts';
export type { StreamOptions } from './stream.ts';
export type { Templates } from './templates.ts';
export type {
  AttachOptions,
  TerminalOptions,
  TerminalOutput,
  TerminalSession,
  TerminalSize,
} from './terminal.ts';
export type { CallOptions, FetchLike, TransportOptions } from './transport.ts';
export {
  type ConsoleQuery,
  type CreatedKey,
  type CreateEnvironment,
  type CreateKey,
  type CreateMachine,
  type CreateRoute,
  type CreateRouteToken,
  type CreateSnapshot,
  type CreateSshCertificate,
  type CreateSshKey,
  type CreateTemplate,
  type DeniedEgress,
  type EgressRule,
  type Environment,
  type EnvironmentDetail,
  type EnvironmentList,
  type Exec,
  type ExecEvent,
  type ExecList,
  type ExecOutcome,
  type ExecOutput,
  type ExecOutputEvent,
  type ExecRequest,
  type ExecResult,
  type ExecSize,
  type ExpiryAction,
  type ExtendEnvironment,
  expiryActions,
  type FileChange,
  type FileEntry,
  type FileList,
  type FileStat,
  type ForkedMachine,
  type ForkedMachines,
  type ForkMachine,
  type Health,
  type IdlePolicy,
  type Image,
  type ImageList,
  type ImportImage,
  type Key,
  type KeyList,
  type KeyTier,
  keyTiers,
  type LifetimeCounts,
  lifetimeCountings,
  type MachineCreate,
  type MachineFailure,
  type MachineList,
  type MachineListQuery,
  type MachineMetrics,
  type MachineNetwork,
  type MachineSort,
  type MachineStatus,
  type MachineSummary,
  machineSorts,
  machineStatuses,
  type NetworkRequest,
  type Operation,
  type OperationFailure,
  type OperationList,
  type OperationState,
  type OperationStep,
  operationStates,
  type PortChange,
  type PublishedPort,
  type PublishedPorts,
  type PublishPort,
  type Quota,
  type QuotaEntry,
  type QuotaList,
  type RestartPolicy,
  type RestoreSnapshot,
  type Route,
  type RouteList,
  type RouteToken,
  restartPolicies,
  type Scope,
  type SetQuota,
  type Snapshot,
  type SnapshotList,
  type SnapshotStatus,
  type SshCertificate,
  type SshKey,
  type SshKeyList,
  type StartExec,
  type StartedExec,
  scopes,
  type Template,
  type TemplateList,
  type UpdateMachine,
  type UpdateRoute,
  type WaitQuery,
} from './types.ts';
export type { UploadOptions, UploadSource } from './upload.ts';
