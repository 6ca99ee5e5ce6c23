/**
 * Finds out what QEMU can do on this host by booting something: a boot sector that writes one byte to a
 * device, which makes QEMU exit with a code that only a running guest can cause. The existence of /dev/kvm
 * proves nothing: on some hosts it opens and then hangs.
 */
import { access, chown, constants, mkdir, mkdtemp, readdir, rm, stat, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { isAbsolute, join } from 'node:path';
import type { EngineProbe } from '../../core/ports/engine.ts';
import { abortable, deadline } from '../../lib/abort.ts';
import { ProcessError, run } from '../../lib/process.ts';
import { type Accelerator, escapeOption } from './command-line.ts';
import { confinedCommand } from './confine.ts';
import { programPaths, type ShimHost } from './jail.ts';
import { goByte, shimSpec } from './shim.ts';

const probePrefix = 'flotilla-probe-';

/** Removes remains of killed probes in this directory; no other probe may be running there. */
export async function removeStaleProbes(parent: string): Promise<void> {
  const names = await readdir(parent).catch(() => []);
  for (const name of names.filter((each) => each.startsWith(probePrefix)))
    await rm(join(parent, name), { recursive: true, force: true });
}

export const setupHint = 'run ./flotilla setup';

/** Directories in which programs are searched; the daemon's PATH is ignored. */
const programDirectories = ['/usr/local/sbin', '/usr/local/bin', '/usr/sbin', '/usr/bin', '/sbin', '/bin'];

/** `mov al,0x10; mov dx,0x501; out dx,al; hlt; jmp $-1`: the byte makes QEMU exit with 0x10 * 2 + 1. */
const bootSectorCode = [0xb0, 0x10, 0xba, 0x01, 0x05, 0xee, 0xf4, 0xeb, 0xfd];
export const bootedExitCode = 33;
/** TCG boots the sector in 0.1 s on an idle core, KVM faster. */
const bootTimeoutMs = 5000;
const versionMin = [6, 0] as const;

/** What a launch needs to know about this host. */
export interface QemuHost {
  readonly qemu: string;
  readonly version: string;
  /** How the launch shim confines VMMs; null without a shim or when this host forbids namespaces. */
  readonly jail: ShimHost | null;
  readonly prlimit: string;
  readonly setpriv: string;
  readonly accelerator: Accelerator;
  /** Supplementary groups that a VMM needs to open /dev/kvm. */
  readonly groups: readonly number[];
}

export interface QemuProbe {
  readonly probe: EngineProbe;
  /** Null when the engine is not available. */
  readonly host: QemuHost | null;
}

export interface ProbeOptions {
  readonly binary: string;
  /** The user for the test: that of the first VMM; null for the daemon's own user. */
  readonly uid: number | null;
  readonly kvmDevice: string;
  /** The launch shim's path. */
  readonly shim: string | null;
  /**
   * Directory for temporary files; the VMMs' users must be able to pass through it. Default: the system's.
   */
  readonly parent?: string;
  readonly notes: readonly string[];
}

/** Absolute path of a program; null when not found. */
export async function findProgram(
  name: string,
  directories: readonly string[] = programDirectories,
): Promise<string | null> {
  const candidates = isAbsolute(name) ? [name] : directories.map((directory) => join(directory, name));
  for (const candidate of candidates) {
    const isThere = await access(candidate, constants.X_OK).then(
      () => true,
      () => false,
    );
    if (isThere) return candidate;
  }
  return null;
}

/** 512 bytes. */
export function bootSector(): Buffer {
  const sector = Buffer.alloc(512);
  sector.set(bootSectorCode);
  sector.set([0x55, 0xaa], 510);
  return sector;
}

/** `7.2.22` from `qemu --version`; null when the output is not QEMU's. */
export function parseVersion(text: string): string | null {
  return /QEMU emulator version (\d+\.\d+\.\d+)/.exec(text)?.[1] ?? null;
}

function isOldVersion(version: string): boolean {
  const [major = 0, minor = 0] = version.split('.').map(Number);
  return major < versionMin[0] || (major === versionMin[0] && minor < versionMin[1]);
}

/** Groups that a VMM's user needs to open the device: none, one, or null when it cannot be opened. */
async function deviceGroups(device: string, uid: number | null): Promise<readonly number[] | null> {
  const found = await stat(device).catch(() => null);
  if (found === null) return null;
  if (uid === null || (found.mode & 0o006) === 0o006) return [];
  return (found.mode & 0o060) === 0o060 ? [found.gid] : null;
}

export function bootArguments(accelerator: Accelerator, image: string): readonly string[] {
  return [
    '-M',
    'pc',
    '-accel',
    accelerator,
    '-m',
    '16M',
    '-nodefaults',
    '-no-user-config',
    '-display',
    'none',
    '-sandbox',
    'on,obsolete=deny,elevateprivileges=deny,spawn=deny,resourcecontrol=deny',
    '-device',
    'isa-debug-exit,iobase=0x501,iosize=1',
    '-drive',
    `file=${escapeOption(image)},format=raw,if=ide`,
  ];
}

/** The test VMM's command line, wrapped like a real VMM's. */
async function bootCommand(host: QemuHost, uid: number | null, directory: string, image: string) {
  const argv = [host.qemu, ...bootArguments(host.accelerator, image)];
  const confinement = { ...host, uid, fileBytesMax: 1 << 20 };
  if (host.jail === null) {
    const [command, ...args] = confinedCommand(argv, confinement);
    return { command, args, stdin: null };
  }
  const root = join(directory, 'root');
  await mkdir(root);
  const spec = shimSpec(host.jail, {
    argv,
    confinement,
    cgroupFiles: [],
    cwd: directory,
    statusFile: '',
    diesWithShim: true,
    root,
    readOnly: [],
    writable: [image, directory],
  });
  return { command: host.jail.shim, args: [], stdin: `${spec}${goByte}` };
}

/** Boots the sector in the same way as a VMM; resolves to null, or to why it did not boot. */
async function tryBoot(
  host: QemuHost,
  uid: number | null,
  parent: string,
  signal: AbortSignal,
): Promise<string | null> {
  const directory = await mkdtemp(join(parent, probePrefix));
  const limit = deadline(bootTimeoutMs + 1000, () => new Error('it cannot even be killed'), signal);
  try {
    const image = join(directory, 'boot-sector');
    await writeFile(image, bootSector(), { mode: 0o600 });
    if (uid !== null) {
      await chown(image, uid, uid);
      await chown(directory, uid, uid);
    }
    const { command, args, stdin } = await bootCommand(host, uid, directory, image);
    // A process that hangs in the kernel cannot be killed; the limit stops waiting for it.
    const options = { timeoutMs: bootTimeoutMs, signal: limit.signal, env: {} };
    await abortable(run(command, args, stdin === null ? options : { ...options, stdin }), limit.signal);
    return 'it ended without booting';
  } catch (error) {
    signal.throwIfAborted();
    if (error instanceof ProcessError && error.exitCode === bootedExitCode) return null;
    if (error instanceof ProcessError && error.isTimeout) return `nothing booted within ${bootTimeoutMs} ms`;
    return error instanceof Error ? error.message : String(error);
  } finally {
    limit.clear();
    await rm(directory, { recursive: true, force: true });
  }
}

function unavailable(
  missing: readonly string[],
  notes: readonly string[],
  version: string | null,
): QemuProbe {
  return { host: null, probe: { isAvailable: false, accelerator: null, version, missing, notes } };
}

const noJail = "a VMM that its guest has taken over sees the host's files, processes and network";

export function noJailNote(why: string): string {
  return `${noJail}: ${why}`;
}

export function isJailNote(note: string): boolean {
  return note.startsWith(noJail);
}

/** Finds what a jail needs; null, with a note, when a jail is impossible. */
async function findJail(
  { shim }: ProbeOptions,
  qemu: string,
  notes: string[],
  signal: AbortSignal,
): Promise<ShimHost | null> {
  if (shim === null) {
    notes.push(noJailNote(`the launch shim is not built, ${setupHint}`));
    return null;
  }
  try {
    const readOnly = await programPaths(qemu, signal);
    return { shim, userNamespace: process.geteuid?.() !== 0, readOnly };
  } catch (error) {
    signal.throwIfAborted();
    notes.push(noJailNote(`QEMU's libraries cannot be listed: ${String(error)}`));
    return null;
  }
}

async function tryAccelerators(
  base: Omit<QemuHost, 'accelerator' | 'groups'>,
  options: ProbeOptions,
  signal: AbortSignal,
): Promise<{ readonly host: QemuHost | null; readonly notes: readonly string[] }> {
  const notes: string[] = [];
  const { kvmDevice, uid, parent = tmpdir() } = options;
  const groups = await deviceGroups(kvmDevice, uid);
  if (groups === null) notes.push(`no KVM: ${kvmDevice} is absent or closed to the machines' users`);
  const { jail } = base;
  const kvmJail = jail && { ...jail, readOnly: [...jail.readOnly, kvmDevice] };
  const hosts: readonly QemuHost[] = [
    ...(groups === null ? [] : [{ ...base, jail: kvmJail, accelerator: 'kvm' as const, groups }]),
    { ...base, accelerator: 'tcg', groups: [] },
  ];
  for (const host of hosts) {
    const why = await tryBoot(host, uid, parent, signal);
    if (why === null) return { host, notes };
    notes.push(`no ${host.accelerator.toUpperCase()}: ${why}`);
  }
  return { host: null, notes };
}

/** Raises only the signal's reason. */
export async function probeQemu(options: ProbeOptions, signal: AbortSignal): Promise<QemuProbe> {
  const notes = [...options.notes];
  const wanted = [options.binary, 'prlimit', 'setpriv'];
  const [qemu, prlimit, setpriv] = await Promise.all(wanted.map((name) => findProgram(name)));
  if (!qemu || !prlimit || !setpriv) {
    const programs = wanted.filter((_, index) => ![qemu, prlimit, setpriv][index]);
    return unavailable(
      programs.map((name) => `${name} is not installed: ${setupHint}`),
      notes,
      null,
    );
  }
  const printed = await run(qemu, ['--version'], { timeoutMs: bootTimeoutMs, signal, env: {} }).catch(
    () => null,
  );
  signal.throwIfAborted();
  const version = parseVersion(printed?.stdout ?? '');
  if (version === null) return unavailable([`${qemu} does not answer as QEMU: ${setupHint}`], notes, null);
  if (isOldVersion(version))
    return unavailable([`QEMU ${version} is too old, ${versionMin.join('.')} is needed`], notes, version);

  const programs = { qemu, prlimit, setpriv, version };
  const jail = await findJail(options, qemu, notes, signal);
  for (const each of jail === null ? [null] : [jail, null]) {
    const found = await tryAccelerators({ ...programs, jail: each }, options, signal);
    if (found.host !== null) {
      if (each === null && jail !== null) notes.push(noJailNote('this host forbids namespaces'));
      const all = [...notes, ...found.notes];
      const { accelerator } = found.host;
      return {
        host: found.host,
        probe: { isAvailable: true, accelerator, version, missing: [], notes: all },
      };
    }
    notes.push(...found.notes.map((note) => (each === null ? note : `in a jail: ${note}`)));
  }
  return unavailable([`QEMU ${version} boots nothing on this host`], notes, version);
}
