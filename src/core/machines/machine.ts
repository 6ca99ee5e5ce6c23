/**
 * The machine: what was asked for, what it is, and the rules that hold for both.
 * Knows nothing of how a machine is stored, shown or run.
 */
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
}

export type DesiredState = 'running' | 'stopped' | 'deleted';

/** Why a machine is not what was wanted; shown to people. */
export interface MachineFailure {
  /** A stable word: `engine_failed`, `guest_unready`, `vmm_died`, `guest_panic`, `disk_full`, … */
  readonly code: string;
  readonly message: string;
  readonly at: string;
  /** The console's last lines at that moment, made printable; empty when there were none. */
  readonly console: readonly string[];
}

export interface Machine {
  readonly id: string;
  readonly tenant: string;
  readonly spec: MachineSpec;
  readonly imageDigest: string;
  readonly state: MachineState;
  readonly desired: DesiredState;
  /** The operation under way; set exactly while the state is in transit. */
  readonly operationId: string | null;
  /** One boot of the machine; new at every start. */
  readonly incarnation: string | null;
  readonly handle: EngineHandle | null;
  readonly failure: MachineFailure | null;
  /** Unique among this host's machines while the machine exists; see LaunchSpec.slot. */
  readonly slot: number;
  /** RFC 3339, UTC, with `Z`. */
  readonly createdAt: string;
  readonly updatedAt: string;
  readonly startedAt: string | null;
}
