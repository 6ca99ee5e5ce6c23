/**
 * The API's objects under this package's names; their fields come from the OpenAPI document. They are not
 * converted: snake_case, sizes in MiB, times in RFC 3339 UTC. Additional fields of newer servers are passed
 * through.
 */
import type { QueryOf } from './call.ts';
import { words } from './generated/operations.ts';
import type { components } from './generated/schema.ts';

type Schemas = components['schemas'];

export type Health = Schemas['Health'];

export type Machine = Schemas['Machine'];
/** A machine in a list. */
export type MachineSummary = Schemas['MachineSummary'];
export type MachineStatus = Schemas['MachineStatus'];
export const machineStatuses = words.MachineStatus;
export type MachineFailure = NonNullable<Machine['failure']>;
export type MachineList = Schemas['MachineList'];
export type MachineListQuery = QueryOf<'listMachines'>;
/** The properties of a new machine; omitted fields get the server's defaults. */
export type CreateMachine = Schemas['CreateMachine'];
/** Alias of `CreateMachine`. */
export type MachineCreate = CreateMachine;
/** The properties of a machine to change; omitted ones stay. */
export type UpdateMachine = Schemas['UpdateMachine'];
export type RestartPolicy = Schemas['RestartPolicy'];
export const restartPolicies = words.RestartPolicy;
/** The status to wait for, and for how many seconds. */
export type WaitQuery = QueryOf<'waitForMachine'>;
/** How many of the last lines to return. */
export type ConsoleQuery = Omit<QueryOf<'getMachineConsole'>, 'follow'>;

/** A command in its wire form. */
export type WireExec = Schemas['Exec'];
/** A command to run in a machine. `stdin` is part of the request: keep it to a few MiB. */
export type ExecRequest = Omit<WireExec, 'cmd' | 'command' | 'stdin'> &
  Required<Pick<WireExec, 'command'>> & {
    /** Text is sent as UTF-8. */
    readonly stdin?: Uint8Array | string;
  };
/** The buffered answer of a command. */
export type ExecResult = Schemas['ExecResult'];

type WireEvent = Schemas['ExecEvent'];
type WireOutput = Extract<WireEvent, { type: 'stdout' | 'stderr' }>;
type WireOutcome = Omit<Extract<WireEvent, { type: 'outcome' }>, 'type'>;
type Ended<Outcome extends WireOutcome['outcome'], Told extends keyof WireOutcome = never> = {
  readonly outcome: Outcome;
} & { readonly [Field in Told]: NonNullable<WireOutcome[Field]> };

/**
 * How a command ended; `signal` is without `SIG`, and its `exit_code` is 128 + the signal's number. `unknown` means
 * that nobody can tell; it is never a guess. With `connection_lost` this client lost the connection, without it the
 * server reported `unknown`.
 */
export type ExecOutcome =
  | Ended<'exited', 'exit_code'>
  | Ended<'signalled', 'signal' | 'exit_code'>
  | Ended<'timed_out'>
  | (Ended<'unknown', 'reason'> & { readonly connection_lost?: true });

/** A chunk of output; `offset` is its position in its stream, in bytes. */
export type ExecOutput = Pick<WireOutput, 'type' | 'offset'> & { readonly data: Uint8Array };

/** An event of a streamed command: output in order, then exactly one outcome. */
export type ExecEvent = ExecOutput | ({ readonly type: 'outcome' } & ExecOutcome);

export type Image = Schemas['Image'];
export type ImageList = Schemas['ImageList'];
export type ImportImage = Schemas['ImportImage'];

export type Key = Schemas['Key'];
/** A new key with its secret. */
export type CreatedKey = Schemas['CreatedKey'];
export type CreateKey = Schemas['CreateKey'];
export type KeyList = Schemas['KeyList'];
/** What a key may be used for. */
export type Scope = Schemas['Scope'];
export const scopes = words.Scope;

export type Operation = Schemas['Operation'];
export type OperationState = Schemas['OperationState'];
export const operationStates = words.OperationState;
export type OperationStep = Schemas['OperationStep'];
export type OperationFailure = Schemas['OperationFailure'];
export type OperationList = Schemas['OperationList'];
