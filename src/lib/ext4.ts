/** Makes an ext4 file system from a directory tree, without mounting anything. */
import { chmod, truncate } from 'node:fs/promises';
import { run } from './process.ts';

const mkfsMs = 5 * 60_000;
const blockBytes = 4096;
const journalMib = 8;
/** One for 16 KiB; each group added by growing gets as many. */
const inodesPerGroup = 8192;
/** Group size with 4 KiB blocks. */
const groupMib = 128;

export interface Ext4Format {
  /** Cut to 16 bytes. */
  readonly label: string;
  readonly sizeMib: number;
  /** Also seeds the directory hashes. Equal trees give images that differ only in the files' change times. */
  readonly uuid: string;
}

export interface Ext4Options extends Ext4Format {
  /** Time of the superblock and of the files' birth, in seconds since 1970. Default: now. */
  readonly timeS?: number;
  readonly signal: AbortSignal;
  readonly env: NodeJS.ProcessEnv;
}

/** Arguments of mkfs.ext4 that say what the file system is like, without its size, its inodes and the file it is in. */
export function ext4FormatArguments({ label, uuid }: Pick<Ext4Format, 'label' | 'uuid'>): readonly string[] {
  const extended = [`hash_seed=${uuid}`, 'lazy_itable_init=0', 'lazy_journal_init=0', 'root_owner=0:0'];
  return [
    ...['-q', '-F', '-t', 'ext4', '-b', String(blockBytes), '-I', '256'],
    // The guest agent grows file systems that reserve no descriptors; those that do, only their kernel can.
    ...['-O', '^resize_inode'],
    ...['-m', '0', '-L', label.slice(0, 16), '-U', uuid, '-J', `size=${journalMib}`],
    ...['-E', extended.join(',')],
  ];
}

/** `target` will hold `tree` with its owners and modes. The file may end a block short of its size. */
function ext4Arguments(tree: string, target: string, format: Ext4Format): readonly string[] {
  const inodes = Math.ceil(format.sizeMib / groupMib) * inodesPerGroup;
  return [
    ...ext4FormatArguments(format),
    ...['-N', String(inodes), '-d', tree, target, `${format.sizeMib}M`],
  ];
}

/**
 * Writes `target`, a sparse file of exactly `sizeMib` and mode 0444. Only for trees that we made ourselves.
 */
export async function makeExt4(tree: string, target: string, options: Ext4Options): Promise<void> {
  const { timeS, signal } = options;
  // mke2fs's variable for the current time.
  const env = timeS === undefined ? options.env : { ...options.env, E2FSPROGS_FAKE_TIME: String(timeS) };
  await run('mkfs.ext4', ext4Arguments(tree, target, options), { env, signal, timeoutMs: mkfsMs });
  await truncate(target, options.sizeMib * 1024 * 1024);
  await chmod(target, 0o444);
}
