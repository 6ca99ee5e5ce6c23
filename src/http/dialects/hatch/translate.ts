/** Translates between core's terms and Hatch's, which appear nowhere else. Pure. */
import { AppError } from '../../../core/errors.ts';
import { imageNote } from '../../../core/images/references.ts';
import type { ListedMachine, Machine } from '../../../core/machines/machine.ts';
import type { CreateRequest } from '../../../core/machines/spec.ts';
import type { MachineState } from '../../../core/machines/states.ts';
import type { MachineUsage } from '../../../core/machines/usage.ts';
import { type MachineNetwork, recordedAddress } from '../../../core/network/machine-network.ts';
import type { NetworkView } from '../../../core/network/service.ts';
import type { Image } from '../../../core/ports/images.ts';
import type { Snapshot } from '../../../core/snapshots/snapshot.ts';
import type { NewTemplate } from '../../../core/templates/service.ts';
import type { Template } from '../../../core/templates/template.ts';
import { parseUserData } from '../../../core/user-data/parse.ts';
import type { Provisioning } from '../../../core/user-data/user-data.ts';
import { failureText } from '../../host-paths.ts';
import type {
  CreateBody,
  ImageBody,
  MetricsBody,
  SnapshotBody,
  TemplateBody,
  TemplateCreateBody,
  VmBody,
  VmState,
} from './schema.ts';

export const vmPrefix = 'vm_';
const snapshotPrefix = 'snap_';
const templatePrefix = 'tpl_';
const imagePrefix = 'img_';
const defaultImageId = 'img_default';

/** The nearest word: Hatch does not know machines that were never started, or are paused. Its `snapshotted` ones are not up, and a restore continues them. */
const stateWords: Readonly<Record<MachineState, VmState>> = {
  creating: 'starting',
  created: 'stopped',
  starting: 'starting',
  running: 'running',
  pausing: 'running',
  paused: 'stopped',
  resuming: 'starting',
  suspending: 'running',
  suspended: 'snapshotted',
  stopping: 'stopping',
  stopped: 'stopped',
  deleting: 'stopping',
  deleted: 'stopped',
  failed: 'error',
};

export function stateWord(state: MachineState): VmState {
  return stateWords[state];
}

/** Said where guests' interfaces reach nothing. */
export function networkNote({ facts, network }: NetworkView): string | null {
  if (network.mode !== 'nat' || facts.kind === 'bridge') return null;
  return `enable_network: it reaches nothing on this host: ${facts.reason ?? 'there is no bridge'}`;
}

/** The image's id; `img_default` for the one that machines get by default. */
export function imageId(name: string, defaultImage: string): string {
  if (name === defaultImage) return defaultImageId;
  // Otherwise it would look like the default one.
  return name === 'default' ? name : `${imagePrefix}${name}`;
}

/** The name of an image by its id or name. */
export function imageName(id: string, defaultImage: string): string {
  if (id === defaultImageId) return defaultImage;
  return id.startsWith(imagePrefix) ? id.slice(imagePrefix.length) : id;
}

const templateId = new RegExp(`^${templatePrefix}([a-z0-9]{12})$`);

/** The id in `tpl_k3v9x2m1q8zt`, or the text as it is. */
export function templateText(id: string): string {
  return templateId.exec(id)?.[1] ?? id;
}

/** What a request does not say. */
export interface CreateDefaults {
  readonly image: string;
  /** Whether machines of the host can have an SSH port; in Hatch all that have a network do. */
  readonly hasSshPorts: boolean;
}

/** Raises `unsupported` for what no machine can have here, `invalid` for user data that no guest can carry out. */
export function toCreateRequest(
  body: CreateBody,
  name: string,
  { image: defaultImage, hasSshPorts }: CreateDefaults,
): CreateRequest {
  requireNone('guest_mac', body.guest_mac, 'it follows from the address');
  requireNone('boot_args', body.boot_args, 'the host sets the kernel’s command line');
  return {
    name,
    vcpuCount: body.vcpu_count || undefined,
    memoryMib: body.mem_mib || undefined,
    image: body.image_id ? imageName(body.image_id, defaultImage) : undefined,
    template: body.template_id ? templateText(body.template_id) : undefined,
    userData: body.user_data ? parseUserData(body.user_data) : undefined,
    sshPort: hasSshPorts && body.enable_network !== false ? 'any' : null,
    network: {
      mode: body.enable_network === false ? 'none' : 'nat',
      address: body.guest_ip || undefined,
    },
  };
}

/** Nothing that is asked for is ignored silently. */
export function requireNone(field: string, value: string | null | undefined, reason: string): void {
  if (value) throw new AppError('unsupported', `${field} cannot be set: ${reason}`);
}

/** What a list shows of a VM. */
export function toListedVm(machine: ListedMachine, defaultImage: string): VmBody {
  const { id, state, spec, createdAt, updatedAt } = machine;
  return {
    id: `${vmPrefix}${id}`,
    image_id: imageId(spec.image, defaultImage),
    ...(spec.template === null ? {} : { template_id: `${templatePrefix}${spec.template}` }),
    state: stateWords[state],
    vcpu_count: spec.vcpuCount,
    mem_mib: spec.memoryMib,
    enable_network: spec.network.mode !== 'none',
    ...guestAddress(spec.network),
    ...(spec.sshPort === null ? {} : { ssh_port: spec.sshPort }),
    created_at: createdAt,
    updated_at: updatedAt,
  };
}

function guestAddress(network: MachineNetwork): { readonly guest_ip?: string } {
  const address = recordedAddress(network);
  return address === null ? {} : { guest_ip: address };
}

/** What a caller may see of a VM. */
export interface Sight {
  /** Whether it may see the names of files of the host. */
  readonly isOperator: boolean;
  /** User data may hold secrets: only those who could read them in the guest see it. */
  readonly canExec: boolean;
}

export function toVmBody(machine: Machine, defaultImage: string, { isOperator, canExec }: Sight): VmBody {
  const { spec, failure, provisioning } = machine;
  const note = imageNote(spec.imageRef, spec.image);
  return {
    ...toListedVm(machine, defaultImage),
    ...(note === null ? {} : { image_note: note }),
    ...(canExec && spec.userData?.text ? { user_data: spec.userData.text } : {}),
    ...(provisioning === null ? {} : { provisioning: toProvisioning(provisioning) }),
    ...(failure === null ? {} : { error: failureText(failure, isOperator) }),
  };
}

function toProvisioning({ state, message, at }: Provisioning): VmBody['provisioning'] {
  return { status: state, message, updated_at: at };
}

export function toMetricsBody(machine: Machine, usage: MachineUsage): MetricsBody {
  const { processorTimeMs, memoryBytes, diskReadBytes, diskWriteBytes, uptimeMs } = usage;
  const { vcpuCount, memoryMib } = machine.spec;
  return {
    vm_id: `${vmPrefix}${machine.id}`,
    state: stateWords[machine.state],
    vcpu_count: vcpuCount,
    mem_mib: memoryMib,
    uptime_seconds: Math.floor(uptimeMs / 1000),
    net: { rx_bytes: null, tx_bytes: null, rx_packets: null, tx_packets: null },
    block: { read_bytes: diskReadBytes, write_bytes: diskWriteBytes },
    vcpu: {
      cpu_time_micros: processorTimeMs === null ? null : processorTimeMs * 1000,
      utilization_percent:
        processorTimeMs === null || uptimeMs === 0
          ? null
          : Math.round((processorTimeMs / (uptimeMs * vcpuCount)) * 10_000) / 100,
    },
    raw: { memory_used_bytes: memoryBytes },
  };
}

/** Its keys are files below the state directory; of a snapshot without memory the first two are empty. */
export function toSnapshotBody(snapshot: Snapshot, defaultImage: string): SnapshotBody {
  const { id, machineId, spec, hasMemory, sizeBytes, createdAt } = snapshot;
  const files = `snapshots/${id}`;
  return {
    id: `${snapshotPrefix}${id}`,
    vm_id: `${vmPrefix}${machineId}`,
    state_key: hasMemory ? `${files}/memory/manifest.json` : '',
    memory_key: hasMemory ? `${files}/memory/state` : '',
    disk_key: `${files}/disk.qcow2`,
    vm_config: JSON.stringify({
      image_id: imageId(spec.image, defaultImage),
      vcpu_count: spec.vcpuCount,
      mem_mib: spec.memoryMib,
      enable_network: spec.network.mode !== 'none',
    }),
    size_bytes: sizeBytes ?? 0,
    created_at: createdAt,
  };
}

export function toImageBody(image: Image, defaultImage: string): ImageBody {
  return {
    id: imageId(image.name, defaultImage),
    kernel_path: image.kernel === 'host' ? '' : 'in the image',
    rootfs_path: image.digest,
    boot_args: '',
    created_at: image.createdAt,
  };
}

export interface Sizes {
  readonly image: string;
  readonly vcpuCount: number;
  readonly memoryMib: number;
}

export function toNewTemplate(body: TemplateCreateBody, defaults: Sizes): NewTemplate {
  return {
    name: body.name,
    description: body.description ?? undefined,
    image: body.image_id ? imageName(body.image_id, defaults.image) : defaults.image,
    userData: body.user_data || undefined,
    vcpuCount: body.vcpu_count || defaults.vcpuCount,
    memoryMib: body.mem_mib || defaults.memoryMib,
  };
}

export function toTemplateBody(template: Template, defaultImage: string, canExec: boolean): TemplateBody {
  return {
    id: `${templatePrefix}${template.id}`,
    name: template.name,
    description: template.description,
    image_id: imageId(template.image, defaultImage),
    user_data: canExec ? (template.userData ?? '') : '',
    vcpu_count: template.vcpuCount,
    mem_mib: template.memoryMib,
    created_at: template.createdAt,
    updated_at: template.updatedAt,
  };
}
