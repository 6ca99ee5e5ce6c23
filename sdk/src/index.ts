/** What the package offers. */
export { type DeleteOptions, FlotillaClient, type Machines, type WaitQuery } from './client.ts';
export { clientErrorCodes, FlotillaError } from './errors.ts';
export type { ExecStreamOptions } from './exec-stream.ts';
export type { CallOptions, FetchLike, TransportOptions } from './transport.ts';
export {
  type ExecEvent,
  type ExecOutcome,
  type ExecOutput,
  type ExecRequest,
  type ExecResult,
  type Health,
  type Machine,
  type MachineCreate,
  type MachineFailure,
  type MachineList,
  type MachineListQuery,
  type MachineStatus,
  type MachineSummary,
  machineStatuses,
} from './types.ts';
