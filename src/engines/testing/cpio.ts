/**
 * Writes `newc` cpio archives, which Linux unpacks as an initramfs. Supports only what the tests' guest
 * needs.
 */

export interface CpioEntry {
  /** Without a leading slash. */
  readonly path: string;
  /** File type and permission bits, as in `stat`. */
  readonly mode: number;
  readonly data?: Uint8Array;
  /** Major and minor number of a device node. */
  readonly device?: readonly [number, number];
}

function padded(parts: Buffer[], bytes: Uint8Array): void {
  parts.push(Buffer.from(bytes));
  const rest = bytes.length % 4;
  if (rest !== 0) parts.push(Buffer.alloc(4 - rest));
}

/** An archive with its trailer, entries in the given order; a directory must precede its content. */
export function cpioArchive(entries: readonly CpioEntry[]): Buffer {
  const parts: Buffer[] = [];
  const trailer: CpioEntry = { path: 'TRAILER!!!', mode: 0 };
  for (const [index, entry] of [...entries, trailer].entries()) {
    const name = Buffer.from(`${entry.path}\0`);
    const data = entry.data ?? new Uint8Array(0);
    const [major, minor] = entry.device ?? [0, 0];
    // inode, mode, uid, gid, links, mtime, size, device (2), special device (2), name's size, checksum
    const fields = [index + 1, entry.mode, 0, 0, 1, 0, data.length, 0, 0, major, minor, name.length, 0];
    const header = `070701${fields.map((field) => field.toString(16).padStart(8, '0')).join('')}`;
    padded(parts, Buffer.concat([Buffer.from(header), name]));
    padded(parts, data);
  }
  return Buffer.concat(parts);
}
