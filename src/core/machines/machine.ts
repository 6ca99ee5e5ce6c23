/**
 * The machine: its requested spec and its current state. Knows nothing about how a machine is stored, shown
 * or run.
 */
import type { MachineNetwork } from '../network/machine-network.ts';
import type { SubjectFailure } from '../operations/operation.ts';
import type { EngineHandle } from '../ports/engine.ts';
import type { SavedMemory } from '../ports/saved-memory.ts';
import type { Provisioning, UserData } from '../user-data/user-data.ts';
import type { MachineState } from './states.ts';

/** What a caller requested, with all defaults filled in. */
export interface MachineSpec {
  readonly name: string;
  readonly vcpuCount: number;
  readonly memoryMib: number;
  readonly diskMib: number;
  /** The name of the image. The machine itself keeps its digest, because names can be given to others. */
  readonly image: string;
  /** The reference by which the caller requested it; the name when there was none. */
  readonly imageRef: string;
  readonly engine: string;
  /** `auto` restores a template if there is one; `cold` always boots. */
  readonly boot: 'auto' | 'cold';
  readonly exposedPorts: readonly number[];
  readonly labels: Readonly<Record<string, string>>;
  /** Environment of all commands run in it; a command's own variables take precedence. */
  readonly env: Readonly<Record<string, string>>;
  readonly restart: RestartPolicy;
  /** Whether a request that needs the machine, through the proxy or over SSH, may start or resume it. */
  readonly autoWake: boolean;
  /** What happens to it when nobody has used it for a while; null: nothing. */
  readonly idle: IdlePolicy | null;
  /** The idle policy does not act before; RFC 3339, UTC, with `Z`. Null: nobody holds the machine. */
  readonly heldUntil: string | null;
  /** Id of the template it was made from, which may be gone; null: none. */
  readonly template: string | null;
  /** Id of the snapshot it was made from, or last set back to; may be gone; null: none. */
  readonly snapshot: string | null;
  /** What its guest does once, after its first start. */
  readonly userData: UserData | null;
  /** Public keys that enter this machine through the SSH gateway, as lines for `authorized_keys`. */
  readonly sshKeys: readonly string[];
  /** Port of the host at which SSH clients enter this machine; null: none. */
  readonly sshPort: number | null;
  readonly network: MachineNetwork;
  /** How long its lifetime is, each time it begins; null: it has none, or an earlier version recorded it. */
  readonly lifetimeSeconds: number | null;
  readonly onExpire: ExpiryAction;
  readonly lifetimeCounts: LifetimeCounts;
}

/**
 * `on-failure`: restart after a failure or a failed start. `always`: also after the guest powered off.
 * Neither restarts a machine stopped by request, nor a paused one, whose memory is lost.
 */
export const restartPolicies = ['no', 'on-failure', 'always'] as const;
export type RestartPolicy = (typeof restartPolicies)[number];

export const idleActions = ['pause', 'suspend', 'stop'] as const;
export type IdleAction = (typeof idleActions)[number];

export interface IdlePolicy {
  /** Time without requests, commands, terminals and connections. */
  readonly afterSeconds: number;
  readonly action: IdleAction;
}

/** What happens at the end of a lifetime. */
export const expiryActions = ['delete', ...idleActions] as const;
export type ExpiryAction = (typeof expiryActions)[number];

/** `unless_paused`: a lifetime stands still while the machine is paused or suspended. */
export const lifetimeCountings = ['unless_paused', 'always'] as const;
export type LifetimeCounts = (typeof lifetimeCountings)[number];

export type DesiredState = 'running' | 'stopped' | 'deleted';

export interface Machine {
  readonly id: string;
  /** The host it is on; only that host's daemon acts on it. */
  readonly hostId: string;
  readonly tenant: string;
  /** The environment of its tenant that it belongs to; null: none. */
  readonly environmentId: string | null;
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
  /** Set while the next start restores the guest's memory instead of booting. */
  readonly savedMemory: SavedMemory | null;
  /** The allocation of kind `vmm_uid`: unique among this host's machines, and not reused soon. */
  readonly slot: number;
  /** Number of writes of the record. Of two copies of a record, the higher one is newer. */
  readonly revision: number;
  /** RFC 3339, UTC, with `Z`. */
  readonly createdAt: string;
  readonly updatedAt: string;
  readonly startedAt: string | null;
  /** When its lifetime ends and `onExpire` happens; null without one, and while it stands still or has ended. */
  readonly expiresAt: string | null;
  /** What is left of its lifetime while that stands still, in milliseconds; null otherwise. */
  readonly remainingMs: number | null;
  /** When the keeper restarts it; null unless it has ended and its restart policy requests that. */
  readonly restartAt: string | null;
  /** Consecutive restarts by policy, since a requested start or since it last ran for a while. */
  readonly restartCount: number;
  /**
   * When its idle policy acts, unless it is used before; null unless it runs and has such a policy. Written rarely, so
   * the policy may act later than this, but not earlier.
   */
  readonly idleAt: string | null;
  /** How far its guest is with its user data and SSH keys; null: it had neither when it was created. */
  readonly provisioning: Provisioning | null;
}

/** What lists show of a machine. */
export interface ListedMachine
  extends Pick<Machine, 'id' | 'state' | 'createdAt' | 'updatedAt' | 'expiresAt'> {
  readonly spec: Pick<
    MachineSpec,
    'name' | 'vcpuCount' | 'memoryMib' | 'image' | 'labels' | 'template' | 'sshPort' | 'network' | 'onExpire'
  >;
}
