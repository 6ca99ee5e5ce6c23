/** The port through which the host reads and changes a guest's files. Contents are streams, of any length. */
import type { GuestTarget } from './guest.ts';

export const guestListMax = 1000;
/** Largest size of an entry on the link. */
export const guestEntryBytesMax = 10 * 1024;

export const fileTypes = [
  'file',
  'directory',
  'symlink',
  'fifo',
  'socket',
  'char_device',
  'block_device',
] as const;
export type FileType = (typeof fileTypes)[number];

export interface FileEntry {
  /** Bytes that are not UTF-8 are replaced. */
  readonly name: string;
  /** All bytes of a name that is not UTF-8; else null. */
  readonly nameBase64: string | null;
  readonly type: FileType;
  readonly bytes: number;
  /** In octal digits, for example `0644`. */
  readonly mode: string;
  readonly uid: number;
  readonly gid: number;
  /** Their names in the guest, or null. */
  readonly owner: string | null;
  readonly group: string | null;
  readonly modifiedAtMs: number;
  /** Changes whenever the content or the attributes change. */
  readonly version: string;
  /** Of a symlink, if it has at most 1024 bytes; else null. */
  readonly target: string | null;
}

/** Iterated once. Returning early ends the transfer. A failure of the guest is thrown, never a short end. */
export type FileContent = AsyncIterable<Uint8Array>;

export interface ReadRequest {
  /** Absolute, like all paths here, with at most 4095 bytes. */
  readonly path: string;
  readonly offset?: number;
  /** Absent: to the end. */
  readonly length?: number;
}

export interface FileReading {
  readonly entry: FileEntry;
  /** Of the content; null for files that are made while they are read, such as those of /proc. */
  readonly length: number | null;
  /** Throws `conflict` when the file is changed while it is read. */
  readonly content: FileContent;
}

export interface FileAttributes {
  /** Up to four octal digits. Absent: as before, or `0644` for a new file and `0755` for a directory. */
  readonly mode?: string;
  /** USER or USER:GROUP, by name or number. Absent: as before, or root. */
  readonly owner?: string;
}

export interface WriteRequest extends FileAttributes {
  readonly path: string;
  /** Makes the missing directories above. */
  readonly parents?: boolean;
}

export interface ListRequest {
  readonly path: string;
  /** Only names after this one, in byte order. */
  readonly after?: string;
  /** At most `guestListMax`. */
  readonly limit: number;
}

export interface FileList {
  /** By name. */
  readonly entries: readonly FileEntry[];
  readonly hasMore: boolean;
}

export interface PackRequest {
  readonly path: string;
  /** Of the first entry. Absent: the path's last part. `.`: what is in the directory, without a name of its own. */
  readonly name?: string;
}

export interface UnpackRequest {
  /** A directory. */
  readonly path: string;
  /** Who gets all files. Absent: as the archive says. */
  readonly owner?: string;
  readonly parents?: boolean;
}

export const fileChangeTypes = [
  'created',
  'modified',
  'attributes',
  'deleted',
  'moved_from',
  'moved_to',
  /** Changes were lost: look again. */
  'overflow',
] as const;

export interface FileChange {
  readonly type: (typeof fileChangeTypes)[number];
  /** Null for `overflow`. */
  readonly path: string | null;
  readonly isDirectory: boolean;
  /** The same for both ends of one move; else 0. */
  readonly cookie: number;
}

/**
 * Raises `not_found`, `invalid` (for example a directory where a file is wanted, a read-only file system), `conflict`
 * (something else is there), `exhausted` (the guest's disk is full), `unsupported` (the agent is older), and the errors
 * of `GuestLink`. A transfer lasts as long as it moves.
 */
export interface GuestFiles {
  /** Of a symlink itself unless `follow` is set. */
  stat(target: GuestTarget, path: string, follow: boolean, signal: AbortSignal): Promise<FileEntry>;
  read(target: GuestTarget, request: ReadRequest, signal: AbortSignal): Promise<FileReading>;
  /**
   * Replaces or makes a file. A reader in the guest sees the old content or the new one, never a part, and a transfer
   * that fails changes nothing. Devices and files of /proc and /sys are written in place.
   */
  write(
    target: GuestTarget,
    request: WriteRequest,
    content: FileContent,
    signal: AbortSignal,
  ): Promise<FileEntry>;
  list(target: GuestTarget, request: ListRequest, signal: AbortSignal): Promise<FileList>;
  makeDirectory(target: GuestTarget, request: WriteRequest, signal: AbortSignal): Promise<FileEntry>;
  move(
    target: GuestTarget,
    from: string,
    to: string,
    replace: boolean,
    signal: AbortSignal,
  ): Promise<FileEntry>;
  remove(target: GuestTarget, path: string, recursive: boolean, signal: AbortSignal): Promise<void>;
  /** A tar archive of a file or a tree. */
  pack(target: GuestTarget, request: PackRequest, signal: AbortSignal): Promise<FileReading>;
  /** Resolves with the number of files, links and directories. Each file appears whole or not at all. */
  unpack(
    target: GuestTarget,
    request: UnpackRequest,
    archive: FileContent,
    signal: AbortSignal,
  ): Promise<number>;
  /** Ends when the path is gone. */
  watch(
    target: GuestTarget,
    path: string,
    recursive: boolean,
    signal: AbortSignal,
  ): Promise<AsyncIterable<FileChange>>;
}
