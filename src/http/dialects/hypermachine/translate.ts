/** Translates between core's terms and HyperMachine's, which appear nowhere else. Pure. */
import { AppError } from '../../../core/errors.ts';
import { imageNote } from '../../../core/images/references.ts';
import type { ListedMachine, Machine } from '../../../core/machines/machine.ts';
import type { CreateRequest } from '../../../core/machines/spec.ts';
import { type MachineState, machineStates } from '../../../core/machines/states.ts';
import type { MachineUsage } from '../../../core/machines/usage.ts';
import { recordedAddress } from '../../../core/network/machine-network.ts';
import type { MachineOption } from '../../../core/ports/engine.ts';
import type { NetworkUsage } from '../../../core/ports/network.ts';
import type { ScriptValue } from '../../../core/ports/scripts.ts';
import type { ScriptOrder, ScriptRun } from '../../../core/scripts/service.ts';
import { exitCodeOfSignal } from '../../../lib/signals.ts';
import { failureText } from '../../host-paths.ts';
import type {
  CreateBody,
  CreatedBody,
  MetricsBody,
  ScriptBody,
  ScriptResultBody,
  VmBody,
  VmState,
  VmSummaryBody,
} from './schema.ts';

export const idPrefix = 'vm-';
const mib = 1024 * 1024;
const mibPerGib = 1024;

const stateWords: Readonly<Record<MachineState, VmState>> = {
  creating: 'creating',
  created: 'created',
  starting: 'starting',
  running: 'running',
  pausing: 'running',
  paused: 'paused',
  resuming: 'paused',
  suspending: 'running',
  suspended: 'stopped',
  stopping: 'stopping',
  stopped: 'stopped',
  deleting: 'stopping',
  deleted: 'stopped',
  failed: 'error',
};

export function stateWord(state: MachineState): VmState {
  return stateWords[state];
}

/** The states shown by a word, for filters. */
export function statesOf(word: VmState): readonly MachineState[] {
  return machineStates.filter((state) => state !== 'deleted' && stateWords[state] === word);
}

export function vmId(machine: Pick<Machine, 'id'>): string {
  return `${idPrefix}${machine.id}`;
}

export function toCreateRequest(body: CreateBody): CreateRequest {
  return {
    name: body.name,
    vcpuCount: body.cpus,
    memoryMib: body.memory_mb,
    diskMib: body.disk_gb * mibPerGib,
    image: body.image ?? undefined,
    labels: body.metadata ?? undefined,
    options: optionsOf(body),
    network: networkOf(body),
  };
}

/** `network_enabled` is what HyperMachine's own clients say; absent, a machine gets a network. */
function networkOf({ network, network_enabled: isWanted }: CreateBody): CreateRequest['network'] {
  const mode = network?.type ?? (isWanted === false ? 'none' : undefined);
  return { mode, address: network?.ip };
}

/** What the request asks of the host beyond processors, memory and disk. */
function optionsOf({ gpu, security }: CreateBody): readonly MachineOption[] {
  const options: MachineOption[] = [];
  if (gpu?.enabled === true || (gpu?.enabled === undefined && gpu?.type !== undefined))
    options.push(gpu.type === 'vgpu' ? 'virtual_gpu' : 'gpu_passthrough');
  if (security?.secure_boot === true) options.push('secure_boot');
  if (security?.vtpm === true) options.push('virtual_tpm');
  if (security?.memory_encryption === 'sev') options.push('sev_memory_encryption');
  if (security?.memory_encryption === 'tdx') options.push('tdx_memory_encryption');
  return options;
}

/**
 * The answer to a create has the state in which a virtual machine is recorded; it is sent once its disk is
 * made, so that it can be started at once.
 */
export function toCreatedBody(machine: Machine, notes: readonly string[]): CreatedBody {
  return { ...toVmBody(machine, 0), state: 'creating', notes: [...notes] };
}

export function toVmBody(machine: Machine, upMs: number): VmBody {
  const { spec } = machine;
  const note = imageNote(spec.imageRef, spec.image);
  return {
    ...toSummary(machine),
    ...(note === null ? {} : { image_note: note }),
    disk_gb: spec.diskMib / mibPerGib,
    vcpu_count: spec.vcpuCount,
    memory_size: spec.memoryMib * mib,
    network: { type: spec.network.mode, ip: recordedAddress(spec.network) },
    uptime_seconds: Math.floor(upMs / 1000),
    started_at: machine.startedAt,
    updated_at: machine.updatedAt,
    operation_id: machine.operationId,
    error: machine.failure && failureText(machine.failure, false),
  };
}

export function toSummary(machine: ListedMachine): VmSummaryBody {
  const { spec } = machine;
  return {
    id: vmId(machine),
    name: spec.name,
    state: stateWord(machine.state),
    cpus: spec.vcpuCount,
    memory_mb: spec.memoryMib,
    image: spec.image,
    metadata: { ...spec.labels },
    created_at: machine.createdAt,
    // A lifetime that puts the machine to rest is none to this dialect's clients.
    expires_at: spec.onExpire === 'delete' ? machine.expiresAt : null,
  };
}

export function toMetricsBody(
  machine: Machine,
  usage: MachineUsage,
  network: NetworkUsage | null,
): MetricsBody {
  const { spec } = machine;
  const { uptimeMs: upMs, processorTimeMs, memoryBytes } = usage;
  const memorySize = spec.memoryMib * mib;
  return {
    id: vmId(machine),
    state: stateWord(machine.state),
    vcpu_count: spec.vcpuCount,
    memory_size: memorySize,
    uptime_seconds: Math.floor(upMs / 1000),
    cpu_time_ms: processorTimeMs,
    cpu_usage_percent:
      processorTimeMs === null || upMs === 0 ? null : percent(processorTimeMs, upMs * spec.vcpuCount),
    memory_used_bytes: memoryBytes,
    memory_usage_percent: memoryBytes === null ? null : percent(memoryBytes, memorySize),
    disk_read_bytes: usage.diskReadBytes,
    disk_write_bytes: usage.diskWriteBytes,
    network_rx_bytes: network?.receivedBytes ?? null,
    network_tx_bytes: network?.sentBytes ?? null,
  };
}

/** With two decimals. */
function percent(part: number, whole: number): number {
  return Math.round((part / whole) * 10_000) / 100;
}

/** Raises `invalid` without code, or without a language that scripts may be in. */
export function toScriptOrder(body: ScriptBody, machine: Machine): ScriptOrder {
  const code = body.code ?? body.script;
  if (code === undefined) throw new AppError('invalid', 'code is required: the text of the script');
  const { timeout_seconds: seconds } = body;
  return {
    language: body.language ?? body.script_type ?? 'rhai',
    code,
    timeoutMs: seconds * 1000,
    scope: scopeOf(machine),
  };
}

/** HyperMachine's four constants of a Rhai script. */
function scopeOf({ state, spec }: Machine): Readonly<Record<string, ScriptValue>> {
  return {
    vm_state: stateWord(state),
    vm_name: spec.name,
    vcpu_count: spec.vcpuCount,
    memory_size: spec.memoryMib * mib,
  };
}

export function toScriptResult(machine: Machine, run: ScriptRun): ScriptResultBody {
  const { stdout, stderr, result, error, status, durationMs, signal } = run;
  const exitCode = signal === null ? run.exitCode : exitCodeOfSignal(signal);
  return {
    id: vmId(machine),
    success: status === 'completed',
    result,
    output: stdout,
    stdout,
    stderr,
    output_truncated: run.isTruncated,
    exitCode,
    exit_code: exitCode,
    error,
    execution_id: run.id,
    status,
    duration_ms: durationMs,
    execution_time_ms: durationMs,
    executionTimeMs: durationMs,
  };
}
