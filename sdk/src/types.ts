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

/** A file of a machine. */
export type FileEntry = Schemas['File'];
export type FileStat = Schemas['FileStat'];
export type FileList = Schemas['FileList'];
export type FileChange = Schemas['FileChange'];

export type Machine = Schemas['Machine'];
/** A machine in a list. */
export type MachineSummary = Schemas['MachineSummary'];
export type MachineMetrics = Schemas['MachineMetrics'];
export type MachineStatus = Schemas['MachineStatus'];
export const machineStatuses = words.MachineStatus;
export type MachineFailure = NonNullable<Machine['failure']>;
export type MachineList = Schemas['MachineList'];
export type MachineListQuery = QueryOf<'listMachines'>;
export type MachineSort = Schemas['MachineSort'];
export const machineSorts = words.MachineSort;
type WireMachine = Schemas['CreateMachine'];
/** The properties of a new machine; omitted fields get the server's defaults. */
export type CreateMachine = WireMachine &
  (
    | Required<Pick<WireMachine, 'vcpu_count' | 'mem_size_mib'>>
    | Required<Pick<WireMachine, 'template'>>
    | Required<Pick<WireMachine, 'source'>>
  );
/** Alias of `CreateMachine`. */
export type MachineCreate = CreateMachine;
/** How many machines to fork off, and what they are called. */
export type ForkMachine = Schemas['ForkMachine'];
/** A machine that was forked off, and what is wrong with it; null where there is none. */
export type ForkedMachine = Schemas['ForkedMachine'];
export type ForkedMachines = Schemas['ForkedMachines'];
/** The properties of a machine to change; omitted ones stay. */
export type UpdateMachine = Schemas['UpdateMachine'];
export type RestartPolicy = Schemas['RestartPolicy'];
export const restartPolicies = words.RestartPolicy;
export type ExpiryAction = Schemas['ExpiryAction'];
export const expiryActions = words.ExpiryAction;
export type LifetimeCounts = Schemas['LifetimeCounts'];
export const lifetimeCountings = words.LifetimeCounts;
export type IdlePolicy = Schemas['IdlePolicy'];
/** A machine's network, as it is asked for. */
export type NetworkRequest = Schemas['MachineNetworkRequest'];
/** A machine's network, as it is. */
export type MachineNetwork = Schemas['MachineNetwork'];
export type EgressRule = Exclude<NonNullable<NetworkRequest['egress']>, string>['allow'][number];
export type PublishPort = Schemas['PublishPort'];
export type PublishedPort = Schemas['PublishedPort'];
export type PublishedPorts = Schemas['PublishedPorts'];
/** The port, and whether the change is in force: the host repeats what it could not do at once. */
export type PortChange = Schemas['PortPublished'];
/** A name in the reverse proxy's domain that leads to a machine. */
export type Route = Schemas['Route'];
export type RouteList = Schemas['RouteList'];
export type CreateRoute = Schemas['CreateRoute'];
export type CreateRouteToken = Schemas['CreateRouteToken'];
export type RouteToken = Schemas['RouteToken'];
export type UpdateRoute = Schemas['UpdateRoute'];
export type DeniedEgress = Schemas['DeniedEgress'];
/** The status to wait for, and for how many seconds. */
export type WaitQuery = QueryOf<'waitForMachine'>;
/** How many of the last lines to return. */
export type ConsoleQuery = Omit<QueryOf<'getMachineConsole'>, 'follow'>;

/** A command in its wire form. */
export type WireExec = Schemas['Exec'];
/** A command to run in a machine. `stdin` is part of the request: keep it to a few MiB. */
export type ExecRequest = Omit<
  WireExec,
  'cmd' | 'command' | 'stdin' | 'detach' | 'stdin_open' | 'tty' | 'encoding'
> &
  Required<Pick<WireExec, 'command'>> & {
    /** Text is sent as UTF-8. */
    readonly stdin?: Uint8Array | string;
  };
/** A command that outlives its caller. `tty` runs it in a terminal, `stdin_open` keeps its input open for `write`. */
export type StartExec = ExecRequest & Pick<WireExec, 'stdin_open' | 'tty'>;
/** A command that has started. */
export type StartedExec = Schemas['ExecStarted'];
/** A command of a machine's current boot. */
export type Exec = Schemas['MachineExec'];
export type ExecList = Schemas['MachineExecList'];
/** The size of a terminal in characters. */
export interface ExecSize {
  readonly rows: number;
  readonly columns: number;
}
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

/**
 * Output of a command that is read from a cursor. A cursor counts the bytes of both streams: to continue, begin at the last
 * event's. `offset` is null if the guest agent is too old to tell.
 */
export type ExecOutputEvent =
  | {
      readonly type: 'stdout' | 'stderr';
      readonly data: Uint8Array;
      readonly offset: number | null;
      readonly cursor: number;
    }
  /** The end of what there was, of a command that runs on. */
  | { readonly type: 'caught_up'; readonly cursor: number }
  | ({ readonly type: 'outcome'; readonly cursor: number } & ExecOutcome);

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

export type KeyTier = NonNullable<Key['tier']>;
export const keyTiers = ['free', 'pro', 'enterprise'] as const satisfies readonly KeyTier[];

export type Environment = Schemas['Environment'];
export type EnvironmentDetail = Schemas['EnvironmentDetail'];
export type EnvironmentList = Schemas['EnvironmentList'];
export type CreateEnvironment = Schemas['CreateEnvironment'];
export type ExtendEnvironment = Schemas['ExtendEnvironment'];

export type Quota = Schemas['Quota'];
export type QuotaEntry = Schemas['QuotaEntry'];
export type QuotaList = Schemas['QuotaList'];
export type SetQuota = Schemas['SetQuota'];

export type Operation = Schemas['Operation'];
export type OperationState = Schemas['OperationState'];
export const operationStates = words.OperationState;
export type OperationStep = Schemas['OperationStep'];
export type OperationFailure = Schemas['OperationFailure'];
export type OperationList = Schemas['OperationList'];

export type SshKey = Schemas['SshKey'];
export type SshKeyList = Schemas['SshKeyList'];
export type CreateSshKey = Schemas['CreateSshKey'];
export type SshCertificate = Schemas['SshCertificate'];
/** Without `ttl_seconds`, five minutes. */
export type CreateSshCertificate = Pick<Schemas['CreateSshCertificate'], 'public_key'> &
  Partial<Schemas['CreateSshCertificate']>;
/** A machine's disk, and its memory if it has that, at one moment. */
export type Snapshot = Schemas['Snapshot'];
export type SnapshotStatus = Schemas['SnapshotStatus'];
export type SnapshotList = Schemas['SnapshotList'];
export type CreateSnapshot = Schemas['CreateSnapshot'];
export type RestoreSnapshot = Schemas['RestoreSnapshot'];
export type Template = Schemas['Template'];
/** The properties of a new template. */
export type CreateTemplate = Schemas['CreateTemplate'];
export type TemplateList = Schemas['TemplateList'];
