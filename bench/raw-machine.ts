/**
 * The baseline for VMs: a VM without a daemon. It reuses the command line of a machine that the daemon
 * started, so kernel, initramfs, devices and their order are the same; only file paths differ. It has no
 * records, no separate user and no monitor: just qemu-img, spawn and the guest link. It gets a cgroup like
 * the daemon's machines, because the cgroup affects its share of CPU time on a busy host.
 */
import { type ChildProcess, spawn } from 'node:child_process';
import { randomBytes } from 'node:crypto';
import { once } from 'node:events';
import { mkdir, readFile, rm } from 'node:fs/promises';
import { join } from 'node:path';
import { AppError } from '../src/core/errors.ts';
import { limitsOfSize } from '../src/core/ports/engine.ts';
import type { ExecRequest, GuestTarget } from '../src/core/ports/guest.ts';
import { Cgroups, vmmLimits } from '../src/engines/qemu/cgroup.ts';
import { GuestClient } from '../src/guest/client.ts';
import { dialVirtioSerial } from '../src/guest/transports/virtio-serial.ts';
import { shortId } from '../src/lib/ids.ts';
import { run } from '../src/lib/process.ts';
import { machineSize, type StartedMachine } from './machine-calls.ts';
import type { BenchDaemon } from './workplace.ts';

const toolTimeoutMs = 30_000;
const bootTimeoutMs = 120_000;
const execTimeoutMs = 30_000;
const convertTimeoutMs = 120_000;
const lastWordsMax = 500;
const pieceBytes = 64 * 1024;

const tapOfShim = /^(tap,id=\w+),fd=\d+/;

/** How a machine of the daemon runs. */
export interface Blueprint {
  readonly program: string;
  readonly args: readonly string[];
  readonly incarnation: string;
  /** Path of the network namespace of its tap; null: the bench's own. */
  readonly netns: string | null;
  readonly runDir: string;
  readonly diskPath: string;
  readonly baseImagePath: string;
  readonly diskBytes: number;
}

/**
 * Reads a blueprint from a machine's process and disk. Raises `internal` if the command line is not as
 * expected.
 */
export async function readBlueprint(
  { layout, netns }: Pick<BenchDaemon, 'layout' | 'netns'>,
  machine: StartedMachine,
): Promise<Blueprint> {
  const [program, ...args] = (await readFile(`/proc/${machine.vmmPid}/cmdline`, 'utf8'))
    .split('\0')
    .slice(0, -1);
  const incarnation = /^flotilla-([a-z0-9]+)$/.exec(args[args.indexOf('-name') + 1] ?? '')?.[1];
  if (program === undefined || incarnation === undefined)
    throw new AppError('internal', `process ${machine.vmmPid} is not a VMM of the daemon`);
  const diskPath = layout.disk(machine.id);
  // -U: the VMM holds a lock on its disk.
  const info = await run('qemu-img', ['info', '-U', '--output=json', diskPath], { timeoutMs: toolTimeoutMs });
  const { 'full-backing-filename': baseImagePath, 'virtual-size': diskBytes } = JSON.parse(
    info.stdout,
  ) as Record<string, unknown>;
  if (typeof baseImagePath !== 'string' || typeof diskBytes !== 'number')
    throw new AppError('internal', `${diskPath} is not an overlay`);
  return {
    program,
    args,
    incarnation,
    netns,
    runDir: layout.runDir(incarnation),
    diskPath,
    baseImagePath,
    diskBytes,
  };
}

/**
 * The blueprint's arguments with all files moved to `directory`. The launch shim opens a machine's tap; here, QEMU makes one
 * that ends with it. Pure.
 */
export function rawArguments(
  blueprint: Blueprint,
  incarnation: string,
  directory: string,
): readonly string[] {
  return blueprint.args.map((argument) =>
    argument
      .replaceAll(blueprint.runDir, directory)
      .replaceAll(blueprint.diskPath, join(directory, 'root.qcow2'))
      .replaceAll(blueprint.incarnation, incarnation)
      .replace(tapOfShim, '$1,ifname=raw%d,script=no,downscript=no'),
  );
}

export class RawMachine {
  readonly #directory: string;
  readonly #child: ChildProcess;
  readonly #exited: Promise<unknown>;
  readonly #guest: GuestClient;
  readonly #target: GuestTarget;
  readonly #cgroups = new Cgroups();

  private constructor(directory: string, child: ChildProcess, exited: Promise<unknown>, incarnation: string) {
    this.#directory = directory;
    this.#child = child;
    this.#exited = exited;
    this.#guest = new GuestClient({
      secret: randomBytes(32),
      transports: { 'virtio-serial': dialVirtioSerial },
    });
    const path = this.file('agent.sock');
    this.#target = {
      machineId: incarnation,
      incarnation,
      address: { transport: 'virtio-serial', path },
    };
  }

  /**
   * Makes the disk, boots in a new directory below `parent`, and resolves when the guest has got its
   * identity.
   */
  static async start(blueprint: Blueprint, parent: string, signal: AbortSignal): Promise<RawMachine> {
    const incarnation = shortId();
    const directory = join(parent, incarnation);
    await mkdir(directory);
    const { baseImagePath, diskBytes } = blueprint;
    const disk = join(directory, 'root.qcow2');
    await run(
      'qemu-img',
      ['create', '-q', '-f', 'qcow2', '-F', 'raw', '-b', baseImagePath, disk, `${diskBytes}`],
      { timeoutMs: toolTimeoutMs, signal },
    );
    const { program, netns } = blueprint;
    const args = rawArguments(blueprint, incarnation, directory);
    const [command, all] =
      netns === null ? [program, args] : ['nsenter', [`--net=${netns}`, '--', program, ...args]];
    const child = spawn(command, all, {
      detached: true,
      env: {},
      stdio: ['ignore', 'ignore', 'inherit'],
    });
    // Rejects when the program cannot be started.
    const exited = once(child, 'exit').catch(() => undefined);
    const machine = new RawMachine(directory, child, exited, incarnation);
    try {
      await machine.#ready(signal);
      return machine;
    } catch (error) {
      await machine.close();
      throw error;
    }
  }

  async #ready(signal: AbortSignal): Promise<void> {
    const { vcpuCount, memoryMib } = machineSize;
    const { incarnation } = this.#target;
    if (this.#child.pid === undefined) throw new AppError('engine', 'the raw VM could not be started');
    const limits = vmmLimits({ vcpuCount, memoryMib, disks: [], limits: limitsOfSize });
    await this.#cgroups.enter(await this.#cgroups.prepare(incarnation, limits), this.#child.pid);
    const limited = AbortSignal.any([signal, AbortSignal.timeout(bootTimeoutMs)]);
    await this.#guest.waitReady(this.#target, limited);
    const identity = { hostname: 'raw', machineId: randomBytes(16).toString('hex') };
    await this.#guest.identify(this.#target, identity, limited);
  }

  /** Path of one of its files on the host. */
  file(name: string): string {
    return join(this.#directory, name);
  }

  /** Writes a file, in pieces of the size that a socket gives. */
  async writeFile(path: string, content: Buffer, signal: AbortSignal): Promise<void> {
    await this.#guest.files.write(this.#target, { path }, inPieces(content), signal);
  }

  /** Reads a file to its end. Raises `internal` when it has another size. */
  async readFile(path: string, bytes: number, signal: AbortSignal): Promise<void> {
    const { content } = await this.#guest.files.read(this.#target, { path }, signal);
    let left = bytes;
    for await (const piece of content) left -= piece.length;
    if (left !== 0) throw new AppError('internal', `${path} has ${bytes - left} bytes instead of ${bytes}`);
  }

  /** Runs `true` and waits for its end. */
  async exec(signal: AbortSignal): Promise<void> {
    await this.run({ argv: ['true'], timeoutMs: execTimeoutMs }, signal);
  }

  /**
   * Runs a command as root and resolves with its output. Raises `guest` with the end of its stderr unless it
   * exits 0.
   */
  async run(request: ExecRequest, signal: AbortSignal): Promise<Buffer> {
    const output: Uint8Array[] = [];
    let lastWords = '';
    for await (const event of await this.#guest.exec(this.#target, request, signal)) {
      if (event.type === 'stdout') output.push(event.data);
      if (event.type === 'stderr')
        lastWords = (lastWords + Buffer.from(event.data).toString()).slice(-lastWordsMax);
      if (event.type !== 'outcome') continue;
      if (event.outcome.outcome === 'exited' && event.outcome.exitCode === 0) return Buffer.concat(output);
      const how = JSON.stringify(event.outcome);
      throw new AppError('guest', `${request.argv[0]} ended as ${how}: ${lastWords.trim()}`);
    }
    throw new AppError('guest', `${request.argv[0]} ended without an outcome`);
  }

  /**
   * Writes the disk's content to a new raw image at `path`. The guest must not write to its disk any more.
   */
  async exportDisk(path: string, signal: AbortSignal): Promise<void> {
    await this.run({ argv: ['fsfreeze', '--freeze', '/'], timeoutMs: execTimeoutMs }, signal);
    // -U: the VM holds a lock on its disk.
    await run('qemu-img', ['convert', '-U', '-f', 'qcow2', '-O', 'raw', this.file('root.qcow2'), path], {
      timeoutMs: convertTimeoutMs,
      signal,
    });
  }

  /** Kills the VM and removes its files. */
  async close(): Promise<void> {
    await this.#guest.close();
    this.#child.kill('SIGKILL');
    await this.#exited;
    await this.#cgroups.remove(this.#target.incarnation);
    await rm(this.#directory, { recursive: true, force: true });
  }
}

async function* inPieces(content: Buffer): AsyncGenerator<Uint8Array> {
  for (let at = 0; at < content.length; at += pieceBytes) yield content.subarray(at, at + pieceBytes);
}
