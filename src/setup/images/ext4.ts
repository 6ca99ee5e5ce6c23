/** Makes an image's root file system from a directory tree, without mounting anything. */
import { chmod, truncate } from 'node:fs/promises';
import { run } from '../../lib/process.ts';
import type { SetupContext } from '../context.ts';

/** The date of everything we make ourselves in an image: 2025-01-01T00:00:00Z. */
export const imageEpochS = 1_735_689_600;

const mkfsMs = 5 * 60_000;
const blockBytes = 4096;
/**
 * Descriptors are reserved for growing online to 1 TiB; beyond, the kernel goes on with `meta_bg`. Not more: it zeroes
 * all reserved blocks of a new backup group in one transaction (129 blocks here), and a transaction may take a quarter
 * of the journal.
 */
const growBlocksMax = 2 ** 28;
/** A quarter of it is 512 blocks. */
const journalMib = 8;
/** One group's worth at one inode for 16 KiB; each group added by growing gets as many. */
const inodesPerGroup = 8192;
/** Group size with 4 KiB blocks. */
const groupMib = 128;

export interface Ext4Options {
  readonly label: string;
  readonly sizeMib: number;
  /** Also seeds the directories' hashes. Equal trees make images that differ in their files' change times only. */
  readonly uuid: string;
}

/** Writes `target`, a sparse file of exactly `sizeMib`, holding `tree` with its owners and modes. */
export async function makeExt4(
  context: SetupContext,
  tree: string,
  target: string,
  options: Ext4Options,
): Promise<void> {
  const extended = [
    `resize=${growBlocksMax}`,
    `hash_seed=${options.uuid}`,
    'lazy_itable_init=0',
    'lazy_journal_init=0',
    'root_owner=0:0',
  ];
  const inodes = Math.ceil(options.sizeMib / groupMib) * inodesPerGroup;
  const args = ['-q', '-F', '-t', 'ext4', '-b', String(blockBytes), '-I', '256', '-N', String(inodes)];
  args.push('-m', '0', '-L', options.label, '-U', options.uuid, '-J', `size=${journalMib}`);
  args.push('-E', extended.join(','), '-d', tree, target, `${options.sizeMib}M`);
  // Its name for the time that goes into the superblock and the files' birth.
  const env = { ...context.env, E2FSPROGS_FAKE_TIME: String(imageEpochS) };
  await run('mkfs.ext4', args, { env, signal: context.signal, timeoutMs: mkfsMs });
  await truncate(target, options.sizeMib * 1024 * 1024);
  await chmod(target, 0o444);
}
