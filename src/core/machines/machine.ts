/**
 * The machine: what was asked for, what it is, and the rules that hold for both.
 * Knows nothing of how a machine is stored, shown or run.
 */
import type { SubjectFailure } from '../operations/definition.ts';
import type { EngineHandle } from '../ports/engine.ts';
import type { MachineState } from './states.ts';

/** What a caller asks for, with every default filled in. */
export interface MachineSpec {
  readonly name: string;
  readonly vcpuCount: number;
  readonly memoryMib: number;
  readonly diskMib: number;
  /** Image name as given; the machine keeps the digest it resolved to. */
  readonly image: string;
  readonly engine: string;
  /** `auto` starts from a template when there is one; `cold` always boots. */
  readonly boot: 'auto' | 'cold';
  readonly exposedPorts: readonly number[];
  readonly labels: Readonly<Record<string, string>>;
  /** Environment of every command that is run in it; a command's own variables win. */
  readonly env: Readonly<Record<string, string>>;
  readonly restart: RestartPolicy;
}

/**
 * `on-failure`: when it failed, or could not be started. `always`: also when its guest powered off. Neither restarts what
 * a request has stopped, nor a paused machine, whose memory is lost.
 */
export const restartPolicies = ['no', 'on-failure', 'always'] as const;
export type RestartPolicy = (typeof restartPolicies)[number];

export type DesiredState = 'running' | 'stopped' | 'deleted';

/** Why a machine is not what was wanted; shown to people. */
export type MachineFailure = SubjectFailure;

export interface Machine {
  readonly id: string;
  /** The host it is on; only that host's daemon acts on it. */
  readonly hostId: string;
  readonly tenant: string;
  readonly spec: MachineSpec;
  readonly imageDigest: string;
  readonly state: MachineState;
  readonly desired: DesiredState;
  /** The operation under way; set exactly while the state is in transit. */
  readonly operationId: string | null;
  /** One boot of the machine; new at every start. */
  readonly incarnation: string | null;
  /** The boot of the host during which the incarnation was started; after a reboot its VMM is gone. */
  readonly bootId: string | null;
  readonly handle: EngineHandle | null;
  readonly failure: MachineFailure | null;
  /** The allocation of kind `vmm_uid`: unique among this host's machines, and not used again soon. */
  readonly slot: number;
  /** Counts the writes of the record. Of two copies of a record the higher one is the newer. */
  readonly revision: number;
  /** RFC 3339, UTC, with `Z`. */
  readonly createdAt: string;
  readonly updatedAt: string;
  readonly startedAt: string | null;
  /** When its lifetime ends and it is deleted; null: never. */
  readonly expiresAt: string | null;
  /** When the supervisor starts it again; null unless it has ended and its restart policy asks for that. */
  readonly restartAt: string | null;
  /** Restarts by its policy in a row: since a request started it, or since it last ran for a while. */
  readonly restartCount: number;
}
