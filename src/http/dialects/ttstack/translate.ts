/** Between TTstack's words and core's, both ways. Pure. */

import type { Environment } from '../../../core/environments/environment.ts';
import type { EnvironmentDetail } from '../../../core/environments/service.ts';
import { AppError } from '../../../core/errors.ts';
import type { HostDescription } from '../../../core/hosts/service.ts';
import { imageNote } from '../../../core/images/references.ts';
import type { Machine } from '../../../core/machines/machine.ts';
import type { CreateRequest } from '../../../core/machines/spec.ts';
import { recordedAddress } from '../../../core/network/machine-network.ts';
import type { NetworkFacts } from '../../../core/ports/network.ts';
import { isSshKey } from '../../../core/user-data/fields.ts';
import { userDataOf } from '../../../core/user-data/user-data.ts';
import {
  type CreateEnv,
  type EngineWord,
  type EnvBody,
  type EnvDetail,
  engineAliases,
  engineWords,
  type HostBody,
  type VmBody,
  type VmSpec,
} from './schema.ts';
import { stateWord } from './states.ts';

export const vmDefaults = { engine: 'qemu', cpu: 2, mem: 1024, disk: 40_960 } as const;
const sshPort = 22;
const anyAddress = '0.0.0.0';
const nameCharactersMax = 128;

/** Raises `invalid` in TTstack's words. `label`: `env name`, `image` or `vm id`. */
export function checkName(label: string, name: string): void {
  const wrong = (rule: string) => new AppError('invalid', `${label} ${rule}`);
  if (name === '') throw wrong('cannot be empty');
  if (name.length > nameCharactersMax) throw wrong(`too long (max ${nameCharactersMax} chars)`);
  if (!/^[A-Za-z0-9._-]+$/.test(name))
    throw wrong('contains invalid characters (only letters, digits, -, _ and . are allowed)');
  if (name.startsWith('.') || name.includes('..')) throw wrong("must not start with '.' or contain '..'");
}

/** A requested machine with all defaults. */
export interface WantedVm {
  readonly image: string;
  readonly engine: EngineWord;
  readonly cpu: number;
  readonly mem: number;
  readonly disk: number;
  readonly sshKeys: readonly string[];
  readonly ports: readonly number[];
  readonly isEgressDenied: boolean;
}

/** Raises `invalid`. */
export function toWanted(spec: VmSpec, sharedKeys: readonly string[]): WantedVm {
  checkName('image', spec.image);
  const { cpu, mem, disk } = vmDefaults;
  const wanted = { cpu: spec.cpu ?? cpu, mem: spec.mem ?? mem, disk: spec.disk ?? disk };
  if (wanted.cpu === 0 || wanted.mem === 0 || wanted.disk === 0)
    throw new AppError('invalid', 'cpu, mem, and disk must be > 0 if specified');
  const engine = spec.engine ?? vmDefaults.engine;
  return {
    ...wanted,
    image: spec.image,
    // TTstack always publishes SSH, and first.
    ports: [...new Set([sshPort, ...(spec.ports ?? [])])],
    isEgressDenied: spec.deny_outgoing ?? false,
    engine: engineAliases[engine] ?? (engine as EngineWord),
    sshKeys: toSshKeys([...sharedKeys, ...(spec.ssh_keys ?? [])]),
  };
}

function toSshKeys(lines: readonly string[]): readonly string[] {
  const keys = [...new Set(lines.map((line) => line.trim()))];
  const wrong = keys.findIndex((key) => !isSshKey(key));
  if (wrong >= 0) throw new AppError('invalid', `ssh_keys.${wrong} is not a public key of OpenSSH`);
  return keys;
}

export function toCreateRequest(
  { image, engine, cpu, mem, disk, sshKeys, ports, isEgressDenied }: WantedVm,
  name: string,
): CreateRequest {
  return {
    ...{ name, image, engine, vcpuCount: cpu, memoryMib: mem, diskMib: disk },
    network: {
      egress: { kind: isEgressDenied ? 'deny' : 'allow' },
      // TTstack's host ports answer on every address of the host.
      ports: ports.map((guestPort) => ({
        protocol: 'tcp' as const,
        bind: anyAddress,
        guestPort,
      })),
    },
    ...(sshKeys.length === 0 ? {} : { userData: userDataOf({ sshAuthorizedKeys: sshKeys }) }),
  };
}

/**
 * The name of an environment's nth machine. An environment's name may hold what a machine's may not; what is left out
 * or cut then leaves a trace, so that two environments do not mean the same machines.
 */
export function machineName(environment: string, index: number): string {
  const suffix = `-${index + 1}`;
  const plain = environment.replace(/^[^A-Za-z0-9]+/, '').slice(0, nameCharactersMax - suffix.length - 9);
  return plain === environment ? `${plain}${suffix}` : `${plain || 'env'}-${traceOf(environment)}${suffix}`;
}

/** 32-bit FNV-1a, as 7 characters: tells names apart that people chose, and no more. */
function traceOf(text: string): string {
  let hash = 0x811c9dc5;
  for (const byte of Buffer.from(text)) hash = Math.imul(hash ^ byte, 0x01000193) >>> 0;
  return hash.toString(36).padStart(7, '0');
}

export function toEnvironmentRequest(
  { id, owner, lifetime }: CreateEnv,
  wanted: readonly WantedVm[],
  facts: NetworkFacts,
) {
  return {
    ...{ id, owner: owner ?? '' },
    lifetimeSeconds: lifetime ?? undefined,
    machines: wanted.map((each, index) => toCreateRequest(each, machineName(id, index))),
    notes: wanted.length > 0 ? networkNotes(facts) : [],
  };
}

/** What machines lack on a host without a bridge, where their ports are published all the same. */
function networkNotes({ kind, reason }: NetworkFacts): readonly string[] {
  return kind === 'bridge' ? [] : [`machines reach nothing on this host: ${reason ?? 'there is no bridge'}`];
}

/** Where a host keeps the environment of a machine that another controller placed on it. */
export const environmentLabel = 'ttstack.env_id';

export function toVm(machine: Machine, id: string = machine.id): VmBody {
  const { spec, hostId, state, createdAt, environmentId } = machine;
  return {
    id,
    env_id: environmentId ?? spec.labels[environmentLabel] ?? '',
    host_id: hostId,
    image: spec.image,
    engine: isEngineWord(spec.engine) ? spec.engine : vmDefaults.engine,
    ...{ cpu: spec.vcpuCount, mem: spec.memoryMib, disk: spec.diskMib },
    ip: recordedAddress(spec.network) ?? '',
    port_map: Object.fromEntries(spec.network.ports.map(({ guestPort, hostPort }) => [guestPort, hostPort])),
    ...{ state: stateWord(state), created_at: unixSeconds(createdAt) },
  };
}

export function toEnv(environment: Environment, machines: readonly Machine[]): EnvBody {
  const { id, owner, createdAt, expiresAt, state } = environment;
  return {
    ...{ id, owner, state, vm_ids: machines.map((machine) => machine.id) },
    created_at: unixSeconds(createdAt),
    expires_at: expiresAt === null ? 0 : unixSeconds(expiresAt),
  };
}

export function toEnvDetail({ environment, machines }: EnvironmentDetail): EnvDetail {
  const notes = new Set(machines.flatMap(({ spec }) => imageNote(spec.imageRef, spec.image) ?? []));
  const warnings = [...environment.warnings, ...notes];
  return {
    env: toEnv(environment, machines),
    vms: machines.map((machine) => toVm(machine)),
    ...(warnings.length === 0 ? {} : { warnings }),
  };
}

export function toResource({ processors, memoryMib, diskMib, machineCount }: HostDescription) {
  return {
    ...{ cpu_total: processors.total, cpu_used: processors.used },
    ...{ mem_total: memoryMib.total, mem_used: memoryMib.used },
    ...{ disk_total: diskMib.total, disk_used: diskMib.used },
    vm_count: machineCount,
  };
}

export function toHost(host: HostDescription, addr: string): HostBody {
  return {
    ...{ id: host.id, addr, resource: toResource(host), state: 'online', engines: enginesOf(host) },
    ...{ storage: 'file', registered_at: unixSeconds(host.startedAt) },
  };
}

export function enginesOf({ engines }: HostDescription): EngineWord[] {
  return engines.filter(isEngineWord);
}

function isEngineWord(engine: string): engine is EngineWord {
  return (engineWords as readonly string[]).includes(engine);
}

function unixSeconds(time: string): number {
  return Math.floor(Date.parse(time) / 1000);
}
