/**
 * The memory and devices of a guest, saved to a directory that only the daemon can enter:
 *
 *   state           QEMU's migration stream
 *   manifest.json   written last: what a QEMU must be like to load the state, and the state's size and digest
 *
 * A directory without a manifest holds nothing. Another QEMU, processor or set of devices would misread the
 * state, so it is refused before a VMM is made.
 */
import { createHash } from 'node:crypto';
import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { z } from 'zod';
import { AppError } from '../../core/errors.ts';
import type { LaunchSpec } from '../../core/ports/engine.ts';
import { giveUpHint } from '../../core/ports/saved-memory.ts';
import { hasErrorCode, writeFileAtomic } from '../../lib/files.ts';
import { argumentsDigest, type CommandLineFacts, qemuArguments } from './command-line.ts';

const manifestSchema = z.object({
  version: z.literal(1),
  /** The incarnation that was saved. */
  incarnation: z.string(),
  qemuVersion: z.string(),
  /** The host's processor if guests use it directly; null under TCG, which emulates the same one everywhere. */
  processor: z.string().nullable(),
  /** See `hardwareDigest`. */
  hardware: z.string(),
  /** Whether the machine has ACPI tables; absent in manifests of earlier versions, whose machines had. */
  hasAcpi: z.boolean().default(true),
  /** What the guest's kernel was booted with. */
  kernelArgs: z.string().nullable(),
  stateBytes: z.int().min(0),
  stateSha256: z.string(),
});

export type SavedState = Readonly<z.infer<typeof manifestSchema>>;

/** What the QEMU of a launch is like, as far as a saved state depends on it. */
export type StateNeeds = Pick<SavedState, 'qemuVersion' | 'processor' | 'hardware'>;

export function stateFile(directory: string): string {
  return join(directory, 'state');
}

export function manifestFile(directory: string): string {
  return join(directory, 'manifest.json');
}

/**
 * Identifies the hardware that a guest sees: machine type, processor, memory and devices in their order. The same for every
 * incarnation of the same machine, and for machines made from a snapshot of it: the addresses of network interfaces do not
 * count, because a state brings the one that it was saved with.
 */
export function hardwareDigest(
  spec: Omit<LaunchSpec, 'source'>,
  facts: Omit<CommandLineFacts, 'qmpSocket' | 'agentSocket' | 'consoleFile'>,
): string {
  const disks = spec.disks.map((disk) => ({ ...disk, path: '', bases: [] }));
  const nics = spec.nics.map((nic) => ({ ...nic, mac: '' }));
  const source = { kind: 'restore', directory: '' } as const;
  const nowhere = { qmpSocket: '', agentSocket: '', consoleFile: '' };
  return argumentsDigest(
    qemuArguments({ ...spec, incarnation: '', disks, nics, source }, { ...facts, ...nowhere, tscKhz: 0 }),
  );
}

/** Durable when it resolves. */
export function writeManifest(directory: string, saved: SavedState): Promise<void> {
  return writeFileAtomic(manifestFile(directory), `${JSON.stringify(saved)}\n`);
}

/** Raises `not_found` when nothing is saved there, and `conflict` when the manifest is damaged. */
export async function readManifest(directory: string): Promise<SavedState> {
  try {
    return manifestSchema.parse(JSON.parse(await readFile(manifestFile(directory), 'utf8')));
  } catch (error) {
    if (hasErrorCode(error, 'ENOENT')) throw new AppError('not_found', 'there is no saved memory');
    throw damaged('its manifest cannot be read', error);
  }
}

/** The saved bytes are not those that were written. */
export function damaged(how: string, cause?: unknown): AppError {
  return new AppError('conflict', `the saved memory is damaged: ${how}`, { cause, hint: giveUpHint });
}

/** Raises `unsupported` when this QEMU would misread the state. Pure. */
export function requireLoadable(saved: SavedState, here: StateNeeds): void {
  const other = differenceOf(saved, here);
  if (other === null) return;
  throw new AppError('unsupported', `the saved memory cannot be loaded here: ${other}`, {
    hint: giveUpHint,
  });
}

function differenceOf(saved: SavedState, here: StateNeeds): string | null {
  if (saved.qemuVersion !== here.qemuVersion)
    return `it was saved by QEMU ${saved.qemuVersion}, and this is ${here.qemuVersion}`;
  if (saved.processor !== here.processor)
    return `it was saved on ${saved.processor ?? 'an emulated processor'}, and this is ${here.processor ?? 'an emulated one'}`;
  return saved.hardware === here.hardware ? null : 'the machine had other processors, memory or devices';
}

/** Counts and hashes the bytes of a state as they pass. */
export class StateMeter {
  readonly #hash = createHash('sha256');
  bytes = 0;

  pass(chunk: Uint8Array): void {
    this.bytes += chunk.length;
    this.#hash.update(chunk);
  }

  sha256(): string {
    return this.#hash.digest('hex');
  }
}
