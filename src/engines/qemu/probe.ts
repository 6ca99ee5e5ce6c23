/**
 * Finds out what QEMU can do on this host by booting something: a boot sector that writes one byte to a device which
 * ends QEMU with a code only a running guest could have caused. That /dev/kvm exists, or even opens, proves nothing:
 * there are hosts where it hangs.
 */
import { access, chown, constants, mkdtemp, rm, stat, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { isAbsolute, join } from 'node:path';
import type { EngineProbe } from '../../core/ports/engine.ts';
import { abortable, deadline } from '../../lib/abort.ts';
import { ProcessError, run } from '../../lib/process.ts';
import { type Accelerator, escapeOption } from './command-line.ts';
import { confinedCommand } from './confine.ts';

export const setupHint = 'run ./flotilla setup';

/** Where programs are looked for; the daemon's own PATH decides nothing. */
const programDirectories = ['/usr/local/sbin', '/usr/local/bin', '/usr/sbin', '/usr/bin', '/sbin', '/bin'];

/** `mov al,0x10; mov dx,0x501; out dx,al; hlt; jmp $-1`: the byte makes QEMU exit with 0x10 * 2 + 1. */
const bootSectorCode = [0xb0, 0x10, 0xba, 0x01, 0x05, 0xee, 0xf4, 0xeb, 0xfd];
const bootedExitCode = 33;
/** TCG boots the sector in 0.1 s on a free core, KVM sooner. */
const bootTimeoutMs = 5000;
const versionMin = [6, 0] as const;

/** What a launch needs to know of this host. */
export interface QemuHost {
  readonly qemu: string;
  readonly prlimit: string;
  readonly setpriv: string;
  readonly accelerator: Accelerator;
  /** Supplementary groups a VMM needs to open /dev/kvm. */
  readonly groups: readonly number[];
}

export interface QemuProbe {
  readonly probe: EngineProbe;
  /** Null when the engine is not available. */
  readonly host: QemuHost | null;
}

export interface ProbeOptions {
  readonly binary: string;
  /** The user that tries the accelerator: the first VMM's; null for the daemon's own. */
  readonly uid: number | null;
  readonly kvmDevice: string;
  readonly notes: readonly string[];
}

/** Absolute path of a program, or null. */
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

/** `7.2.22` from `qemu --version`; null when that is not QEMU speaking. */
export function parseVersion(text: string): string | null {
  return /QEMU emulator version (\d+\.\d+\.\d+)/.exec(text)?.[1] ?? null;
}

function isOldVersion(version: string): boolean {
  const [major = 0, minor = 0] = version.split('.').map(Number);
  return major < versionMin[0] || (major === versionMin[0] && minor < versionMin[1]);
}

/** Groups that open the device for a VMM of its own user: none needed, one, or null when it cannot be opened. */
async function deviceGroups(device: string, uid: number | null): Promise<readonly number[] | null> {
  const found = await stat(device).catch(() => null);
  if (found === null) return null;
  if (uid === null || (found.mode & 0o006) === 0o006) return [];
  return (found.mode & 0o060) === 0o060 ? [found.gid] : null;
}

function bootArguments(accelerator: Accelerator, image: string): readonly string[] {
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

/** Boots the sector as a VMM would be run; resolves to null, or to why it did not boot. */
async function tryBoot(host: QemuHost, uid: number | null, signal: AbortSignal): Promise<string | null> {
  const directory = await mkdtemp(join(tmpdir(), 'flotilla-probe-'));
  const limit = deadline(bootTimeoutMs + 1000, () => new Error('it cannot even be killed'), signal);
  try {
    const image = join(directory, 'boot-sector');
    await writeFile(image, bootSector(), { mode: 0o600 });
    if (uid !== null) {
      await chown(image, uid, uid);
      await chown(directory, uid, uid);
    }
    const [command, ...args] = confinedCommand([host.qemu, ...bootArguments(host.accelerator, image)], {
      ...host,
      uid,
      fileBytesMax: 1 << 20,
    });
    // A process that hangs inside the kernel cannot be killed: the limit stops waiting for its end.
    await abortable(
      run(command, args, { timeoutMs: bootTimeoutMs, signal: limit.signal, env: {} }),
      limit.signal,
    );
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

  const tcg: QemuHost = { qemu, prlimit, setpriv, accelerator: 'tcg', groups: [] };
  const groups = await deviceGroups(options.kvmDevice, options.uid);
  const kvm: QemuHost | null = groups === null ? null : { ...tcg, accelerator: 'kvm', groups };
  if (kvm === null) notes.push(`no KVM: ${options.kvmDevice} is absent or closed to the machines' users`);
  for (const host of [kvm, tcg]) {
    if (host === null) continue;
    const why = await tryBoot(host, options.uid, signal);
    if (why === null) {
      const probe = { isAvailable: true, accelerator: host.accelerator, version, missing: [], notes };
      return { host, probe };
    }
    notes.push(`no ${host.accelerator.toUpperCase()}: ${why}`);
  }
  return unavailable([`QEMU ${version} boots nothing on this host`], notes, version);
}
