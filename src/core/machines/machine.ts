/**
 * The machine: its requested spec and its current state. Knows nothing about how a machine is stored, shown
 * or run.
 */
import type { SubjectFailure } from '../operations/operation.ts';
import type { EngineHandle } from '../ports/engine.ts';
import type { MachineState } from './states.ts';

/** What a caller requested, with all defaults filled in. */
export interface MachineSpec {
  readonly name: string;
  readonly vcpuCount: number;
  readonly memoryMib: number;
  readonly diskMib: number;
  /** The image name as given. The machine itself keeps the digest that the name resolved to. */
  readonly image: string;
  readonly engine: string;
  /** `auto` restores a template if there is one; `cold` always boots. */
  readonly boot: 'auto' | 'cold';
  readonly exposedPorts: readonly number[];
  readonly labels: Readonly<Record<string, string>>;
  /** Environment of all commands run in it; a command's own variables take precedence. */
  readonly env: Readonly<Record<string, string>>;
  readonly restart: RestartPolicy;
}

/**
 * `on-failure`: restart after a failure or a failed start. `always`: also after the guest powered off.
 * Neither restarts a machine stopped by request, nor a paused one, whose memory is lost.
 */
export const restartPolicies = ['no', 'on-failure', 'always'] as const;
export type RestartPolicy = (typeof restartPolicies)[number];

export type DesiredState = 'running' | 'stopped' | 'deleted';

export interface Machine {
  readonly id: string;
  /** The host it is on; only that host's daemon acts on it. */
  readonly hostId: string;
  readonly tenant: string;
  readonly spec: MachineSpec;
  readonly imageDigest: string;
  readonly state: MachineState;
  readonly desired: DesiredState;
  /** The open operation; set if and only if the state is a transit state. */
  readonly operationId: string | null;
  /** Id of one boot of the machine; new at every start. */
  readonly incarnation: string | null;
  /** The boot of the host in which the incarnation was started; after a host reboot its VMM is gone. */
  readonly bootId: string | null;
  readonly handle: EngineHandle | null;
  readonly failure: SubjectFailure | null;
  /** The allocation of kind `vmm_uid`: unique among this host's machines, and not reused soon. */
  readonly slot: number;
  /** Number of writes of the record. Of two copies of a record, the higher one is newer. */
  readonly revision: number;
  /** RFC 3339, UTC, with `Z`. */
  readonly createdAt: string;
  readonly updatedAt: string;
  readonly startedAt: string | null;
  /** When the machine is deleted automatically; null: never. */
  readonly expiresAt: string | null;
  /** When the keeper restarts it; null unless it has ended and its restart policy requests that. */
  readonly restartAt: string | null;
  /** Consecutive restarts by policy, since a requested start or since it last ran for a while. */
  readonly restartCount: number;
}

/** What lists show of a machine. */
export interface ListedMachine extends Pick<Machine, 'id' | 'state' | 'createdAt' | 'expiresAt'> {
  readonly spec: Pick<MachineSpec, 'name' | 'vcpuCount' | 'memoryMib' | 'image' | 'labels'>;
}
