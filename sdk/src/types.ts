/**
 * The objects of the `/machines` API as they travel: snake_case, sizes in MiB, times RFC 3339 in UTC.
 * A newer server may send more fields than are named here; they are passed through untouched.
 */

export const machineStatuses = [
  'pending',
  'starting',
  'running',
  'paused',
  'stopping',
  'stopped',
  'failed',
] as const;

export type MachineStatus = (typeof machineStatuses)[number];

/** What a list shows of a machine. */
export interface MachineSummary {
  readonly id: string;
  readonly name: string;
  readonly status: MachineStatus;
  readonly vcpu_count: number;
  readonly mem_size_mib: number;
  readonly created_at: string;
  readonly image?: string | null;
}

export interface Machine extends MachineSummary {
  readonly updated_at: string;
  readonly started_at?: string | null;
  readonly exposed_ports?: readonly number[] | null;
  readonly disk_size_mib?: number | null;
  readonly engine?: string | null;
  readonly boot?: 'auto' | 'cold' | null;
  readonly labels?: Readonly<Record<string, string>> | null;
  readonly guest_ip?: string | null;
  readonly pid?: number | null;
  /** Why the machine is `failed`. */
  readonly error_message?: string | null;
  /** `error_message` with its circumstances. */
  readonly failure?: MachineFailure | null;
}

export interface MachineFailure {
  readonly code: string;
  readonly message: string;
  readonly at: string;
  /** The last lines of the machine's console. */
  readonly console?: readonly string[] | null;
}

export interface MachineList {
  readonly machines: readonly MachineSummary[];
  /** How many machines match, before paging. */
  readonly total: number;
}

/** The body of `POST /machines`; what is left out is the server's to choose. */
export interface MachineCreate {
  /** Unique among the caller's machines. */
  readonly name: string;
  readonly vcpu_count: number;
  readonly mem_size_mib: number;
  readonly exposed_ports?: readonly number[];
  readonly image?: string;
  readonly disk_size_mib?: number;
  readonly engine?: string;
  readonly boot?: 'auto' | 'cold';
  readonly labels?: Readonly<Record<string, string>>;
}

export interface MachineListQuery {
  readonly status?: MachineStatus | undefined;
  /** 1 to 1000; the server's default is 50. */
  readonly limit?: number | undefined;
  readonly offset?: number | undefined;
}

/** A command to run in a machine. `stdin` travels as base64 inside the request: keep it to a few MiB. */
export interface ExecRequest {
  /** Program and arguments; never given to a shell. */
  readonly command: readonly string[];
  /** Whole seconds after which the command's process group is killed; the server's default is 30. */
  readonly timeout?: number;
  readonly env?: Readonly<Record<string, string>>;
  readonly cwd?: string;
  readonly user?: string;
  readonly stdin?: Uint8Array;
}

/** How a command ended. `unknown` means nobody can say; it is never a guess. */
export type ExecOutcome =
  | { readonly outcome: 'exited'; readonly exit_code: number }
  /** `signal` without `SIG`, as in `KILL`. */
  | { readonly outcome: 'signalled'; readonly signal: string }
  | { readonly outcome: 'timed_out' }
  | { readonly outcome: 'unknown'; readonly reason: string };

export interface ExecOutput {
  readonly type: 'stdout' | 'stderr';
  /** Where `data` begins in its stream, in bytes. */
  readonly offset: number;
  readonly data: Uint8Array;
}

/** What a streamed command yields: output in order, then exactly one outcome. */
export type ExecEvent = ExecOutput | ({ readonly type: 'outcome' } & ExecOutcome);

/** The buffered answer of `POST /machines/{id}/exec`. */
export interface ExecResult {
  readonly exit_code: number;
  readonly stdout: string;
  readonly stderr: string;
  readonly outcome: ExecOutcome['outcome'];
  readonly signal?: string | null;
  readonly stdout_truncated?: boolean;
  readonly stderr_truncated?: boolean;
}

export interface Health {
  readonly status: string;
  readonly version?: string;
}
