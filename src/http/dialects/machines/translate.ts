/** Translates between core's terms and this dialect's, which appear nowhere else. Pure. */
import { basename } from 'node:path';
import { AppError } from '../../../core/errors.ts';
import type { ListedMachine, Machine } from '../../../core/machines/machine.ts';
import type { CreateRequest } from '../../../core/machines/spec.ts';
import { isTransit, type MachineState, machineStates } from '../../../core/machines/states.ts';
import type { UpdateRequest } from '../../../core/machines/update.ts';
import type { ExecRequest } from '../../../core/ports/guest.ts';
import type { LabelFilter, MachineSort } from '../../../core/ports/store.ts';
import type { sortWords } from './fields.ts';
import {
  type CreateBody,
  type ExecBody,
  type MachineBody,
  type MachineStatus,
  type MachineSummary,
  timeoutSecondsMax,
} from './schema.ts';
import type { UpdateBody } from './update-schema.ts';

const statusWords: Readonly<Record<MachineState, MachineStatus>> = {
  creating: 'pending',
  created: 'pending',
  starting: 'starting',
  running: 'running',
  pausing: 'running',
  snapshotting: 'running',
  paused: 'paused',
  resuming: 'paused',
  stopping: 'stopping',
  deleting: 'stopping',
  deleted: 'stopped',
  stopped: 'stopped',
  failed: 'failed',
};

export function statusWord(state: MachineState): MachineStatus {
  return statusWords[state];
}

/** The states shown as a status, for filters. */
export function statesOf(status: MachineStatus): readonly MachineState[] {
  return machineStates.filter((state) => state !== 'deleted' && statusWords[state] === status);
}

/**
 * Only the stable ones, for waits: a caller waits in order to act, and a machine in transit would refuse
 * that.
 */
export function statesToWaitFor(status: MachineStatus): readonly MachineState[] {
  const states = statesOf(status);
  const still = states.filter((state) => !isTransit(state));
  return still.length > 0 ? still : states;
}

/** Raises `unsupported` for features that do not exist yet. */
export function toCreateRequest(body: CreateBody): CreateRequest {
  if (body.network !== undefined && body.network.enable !== false) {
    throw new AppError('unsupported', 'network cannot be had: guests have no network device yet', {
      hint: 'Leave it out, or say {"enable": false}.',
    });
  }
  if (body.registry_auth !== undefined) {
    throw new AppError(
      'unsupported',
      'registry_auth cannot be used: images are not pulled from registries yet',
      {
        hint: 'Import the image first: flotilla images import.',
      },
    );
  }
  return {
    name: body.name,
    vcpuCount: body.vcpu_count,
    memoryMib: body.mem_size_mib,
    diskMib: body.disk_size_mib ?? body.image_size_mib,
    image: body.image,
    engine: body.engine,
    boot: body.boot,
    exposedPorts: body.exposed_ports,
    labels: body.labels,
    env: body.env,
    restart: body.restart,
    lifetimeSeconds: body.lifetime_seconds,
  };
}

export function toUpdateRequest(body: UpdateBody): UpdateRequest {
  return {
    name: body.name,
    labels: body.labels,
    env: body.env,
    restart: body.restart,
    lifetimeSeconds: body.lifetime_seconds,
    vcpuCount: body.vcpu_count,
    memoryMib: body.mem_size_mib,
    diskMib: body.disk_size_mib,
  };
}

/** `key=value`, or `key` alone. The key cannot contain `=` here, although a label's key may. */
export function toLabelFilter(text: string): LabelFilter {
  const end = text.indexOf('=');
  return end < 0 ? { key: text } : { key: text.slice(0, end), value: text.slice(end + 1) };
}

export function toSort(word: (typeof sortWords)[number]): MachineSort {
  const isDescending = word.startsWith('-');
  const by = isDescending ? word.slice(1) : word;
  return { by: by === 'mem_size_mib' ? 'memory_mib' : (by as MachineSort['by']), isDescending };
}

/** Where the host keeps the files that a machine boots from. */
export interface BootPaths {
  readonly kernelPath: string | null;
  readonly kernelArgs: string | null;
  readonly rootfsPath: string;
}

/** Which parts of a machine the caller may see. */
export interface Sight {
  readonly isOperator: boolean;
  /** Whoever may run commands can see their environment anyway. */
  readonly canExec: boolean;
}

/** Only the operator sees paths and processes of the host; others see file names only. */
export function toMachineBody(
  machine: Machine,
  paths: BootPaths,
  warnings: readonly string[],
  { isOperator, canExec }: Sight,
): MachineBody {
  const { spec } = machine;
  const handle = isOperator ? machine.handle : null;
  const shown = (path: string) => (isOperator ? path : basename(path));
  return {
    ...toSummary(machine),
    kernel_image_path: paths.kernelPath === null ? null : shown(paths.kernelPath),
    kernel_args: paths.kernelArgs,
    rootfs_path: shown(paths.rootfsPath),
    socket_path: handle?.controlSocket ?? null,
    tap_device: null,
    tap_ip: null,
    guest_ip: null,
    guest_mac: null,
    pid: handle?.pid ?? null,
    exposed_ports: [...spec.exposedPorts],
    updated_at: machine.updatedAt,
    started_at: machine.startedAt,
    state: machine.state,
    operation_id: machine.operationId,
    image_ref: spec.image,
    image_digest: machine.imageDigest,
    disk_size_mib: spec.diskMib,
    engine: spec.engine,
    boot: spec.boot,
    env: canExec ? { ...spec.env } : null,
    restart: spec.restart,
    restart_count: machine.restartCount,
    restart_at: machine.restartAt,
    error_message: machine.failure?.message ?? null,
    warnings: isOperator ? [...warnings] : [],
    failure: machine.failure
      ? {
          code: machine.failure.code,
          message: machine.failure.message,
          at: machine.failure.at,
          console: [...machine.failure.console],
        }
      : null,
  };
}

export function toSummary(machine: ListedMachine): MachineSummary {
  return {
    id: machine.id,
    name: machine.spec.name,
    status: statusWord(machine.state),
    vcpu_count: machine.spec.vcpuCount,
    mem_size_mib: machine.spec.memoryMib,
    created_at: machine.createdAt,
    image: machine.spec.image,
    labels: { ...machine.spec.labels },
    expires_at: machine.expiresAt,
  };
}

export function toExecRequest(body: ExecBody): ExecRequest {
  const stdin = body.stdin === undefined ? undefined : Buffer.from(body.stdin, 'base64');
  return {
    argv: body.command,
    timeoutMs: Math.min(body.timeout, timeoutSecondsMax) * 1000,
    ...(body.env === undefined ? {} : { env: body.env }),
    ...(body.cwd === undefined ? {} : { cwd: body.cwd }),
    ...(body.user === undefined ? {} : { user: body.user }),
    ...(stdin === undefined ? {} : { stdin: once(stdin) }),
  };
}

async function* once(data: Uint8Array): AsyncGenerator<Uint8Array> {
  yield data;
}
