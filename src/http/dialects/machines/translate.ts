/** Translates between core's terms and this dialect's, which appear nowhere else. Pure. */
import { basename } from 'node:path';
import { AppError } from '../../../core/errors.ts';
import { imageNote } from '../../../core/images/references.ts';
import type { ListedMachine, Machine } from '../../../core/machines/machine.ts';
import type { CreateRequest } from '../../../core/machines/spec.ts';
import { isTransit, type MachineState, machineStates } from '../../../core/machines/states.ts';
import type { UpdateRequest } from '../../../core/machines/update.ts';
import type { NetworkView } from '../../../core/network/service.ts';
import type { GuestLinkState } from '../../../core/ports/guest.ts';
import type { LabelFilter, MachineSort } from '../../../core/ports/store.ts';
import type { SshPortState } from '../../../core/ssh/machine-ports.ts';
import { parseUserData } from '../../../core/user-data/parse.ts';
import { timeText } from '../../../lib/times.ts';
import { failureText } from '../../host-paths.ts';
import type { sortWords } from './fields.ts';
import { toNetworkBody, toNetworkChange, toNetworkRequest } from './network-translate.ts';
import type { CreateBody, MachineBody, MachineStatus, MachineSummary } from './schema.ts';
import type { UpdateBody } from './update-schema.ts';

const statusWords: Readonly<Record<MachineState, MachineStatus>> = {
  creating: 'pending',
  created: 'pending',
  starting: 'starting',
  running: 'running',
  pausing: 'running',
  paused: 'paused',
  resuming: 'paused',
  suspending: 'running',
  suspended: 'suspended',
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

/** Raises `unsupported` for features that do not exist yet, and `invalid` for user data that cannot be read. */
export function toCreateRequest(body: CreateBody): CreateRequest {
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
    template: body.template,
    source: body.source,
    vcpuCount: body.vcpu_count,
    memoryMib: body.mem_size_mib,
    diskMib: body.disk_size_mib ?? body.image_size_mib,
    image: body.image ?? undefined,
    engine: body.engine,
    boot: body.boot,
    exposedPorts: body.exposed_ports,
    labels: body.labels,
    env: body.env,
    restart: body.restart,
    autoWake: body.auto_wake,
    idle: toIdle(body.idle),
    lifetimeSeconds: body.lifetime_seconds,
    onExpire: body.on_expire,
    lifetimeCounts: body.lifetime_counts,
    userData: body.user_data === undefined ? undefined : parseUserData(body.user_data),
    sshKeys: body.ssh_keys,
    sshPort: body.ssh_port === 0 ? 'any' : body.ssh_port,
    network: body.network === undefined ? undefined : toNetworkRequest(body.network),
  };
}

export function toUpdateRequest(body: UpdateBody): UpdateRequest {
  return {
    name: body.name,
    labels: body.labels,
    env: body.env,
    exposedPorts: body.exposed_ports,
    exposedPortsAdd: body.exposed_ports_add,
    exposedPortsRemove: body.exposed_ports_remove,
    restart: body.restart,
    autoWake: body.auto_wake,
    idle: toIdle(body.idle),
    holdSeconds: body.hold_seconds,
    lifetimeSeconds: body.lifetime_seconds,
    onExpire: body.on_expire,
    lifetimeCounts: body.lifetime_counts,
    vcpuCount: body.vcpu_count,
    memoryMib: body.mem_size_mib,
    diskMib: body.disk_size_mib,
    sshKeys: body.ssh_keys,
    sshPort: body.ssh_port === 0 ? 'any' : body.ssh_port,
    network: body.network === undefined ? undefined : toNetworkChange(body.network),
  };
}

function toIdle(idle: UpdateBody['idle']): UpdateRequest['idle'] {
  return idle && { afterSeconds: idle.after_seconds, action: idle.action };
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

/** What is true now and not recorded. */
export interface CurrentFacts {
  readonly warnings: readonly string[];
  /** Null: there is nothing to say about the guest's link. */
  readonly link: GuestLinkState | null;
  readonly network: NetworkView;
  /** Null: the machine has no SSH port. */
  readonly ssh: SshPortState | null;
}

/** Only the operator sees paths and processes of the host; others see file names only. */
export function toMachineBody(
  machine: Machine,
  paths: BootPaths,
  { warnings, link, network, ssh }: CurrentFacts,
  { isOperator, canExec }: Sight,
): MachineBody {
  const { spec } = machine;
  const handle = isOperator ? machine.handle : null;
  const note = imageNote(spec.imageRef, spec.image);
  const shown = (path: string) => (isOperator ? path : basename(path));
  return {
    ...toSummary(machine),
    kernel_image_path: paths.kernelPath === null ? null : shown(paths.kernelPath),
    kernel_args: paths.kernelArgs,
    rootfs_path: shown(paths.rootfsPath),
    socket_path: handle?.controlSocket ?? null,
    tap_device: null,
    tap_ip: null,
    guest_ip: network.ipv4,
    guest_mac: network.mac,
    pid: handle?.pid ?? null,
    exposed_ports: [...spec.exposedPorts],
    network: toNetworkBody(network),
    updated_at: machine.updatedAt,
    started_at: machine.startedAt,
    state: machine.state,
    operation_id: machine.operationId,
    image_ref: spec.imageRef,
    ...(note === null ? {} : { image_note: note }),
    image_digest: machine.imageDigest,
    disk_size_mib: spec.diskMib,
    engine: spec.engine,
    template: spec.template,
    snapshot_id: spec.snapshot,
    boot: spec.boot,
    boot_kind: bootKind(machine),
    suspended_at: machine.savedMemory?.savedAt ?? null,
    env: canExec ? { ...spec.env } : null,
    restart: spec.restart,
    restart_count: machine.restartCount,
    restart_at: machine.restartAt,
    lifetime_seconds: spec.lifetimeSeconds,
    lifetime_counts: spec.lifetimeCounts,
    lifetime_remaining_seconds: machine.remainingMs === null ? null : Math.ceil(machine.remainingMs / 1000),
    auto_wake: spec.autoWake,
    idle: spec.idle && { after_seconds: spec.idle.afterSeconds, action: spec.idle.action },
    held_until: spec.heldUntil,
    idle_at: machine.idleAt,
    error_message: machine.failure && failureText(machine.failure, isOperator),
    user_data: canExec ? (spec.userData?.text ?? null) : null,
    ssh_keys: [...spec.sshKeys],
    ssh_port: spec.sshPort,
    ...(ssh === null ? {} : { ssh: toSshState(ssh, isOperator) }),
    provisioning: toProvisioning(machine),
    ...(link === null ? {} : { guest_link: toGuestLink(link, isOperator) }),
    warnings: isOperator ? [...warnings] : [],
    failure: machine.failure
      ? {
          code: machine.failure.code,
          message: failureText(machine.failure, isOperator),
          at: machine.failure.at,
          console: [...machine.failure.console],
        }
      : null,
  };
}

function toSshState(
  { port, isOpen, reason }: SshPortState,
  isOperator: boolean,
): NonNullable<MachineBody['ssh']> {
  return {
    port,
    status: isOpen ? 'open' : 'closed',
    reason: reason === null ? null : failureText({ code: 'unavailable', message: reason }, isOperator),
  };
}

function bootKind({ handle }: Machine): MachineBody['boot_kind'] {
  if (handle === null) return null;
  return handle.restoredFrom ? 'restored' : 'cold';
}

function toGuestLink(
  { isUp, reason, lostAtMs, lostCount }: GuestLinkState,
  isOperator: boolean,
): NonNullable<MachineBody['guest_link']> {
  return {
    status: isUp ? 'up' : 'down',
    reason: failureText({ code: 'guest', message: reason ?? '' }, isOperator),
    lost_at: lostAtMs === null ? null : timeText(lostAtMs),
    lost_count: lostCount,
  };
}

function toProvisioning({ provisioning }: Machine): MachineBody['provisioning'] {
  if (!provisioning) return null;
  const { state: status, message, at } = provisioning;
  return { status, message, updated_at: at };
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
    on_expire: machine.spec.onExpire,
  };
}
