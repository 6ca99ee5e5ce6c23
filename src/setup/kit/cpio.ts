/** Writes the initramfs format that the kernel reads: cpio "newc", uncompressed. Reproducible. */

export type CpioEntry =
  | { readonly kind: 'directory'; readonly path: string; readonly mode: number }
  | { readonly kind: 'file'; readonly path: string; readonly mode: number; readonly data: Uint8Array }
  | { readonly kind: 'symlink'; readonly path: string; readonly target: string }
  | {
      readonly kind: 'character-device';
      readonly path: string;
      readonly mode: number;
      readonly major: number;
      readonly minor: number;
    };

const typeBits = { directory: 0o040000, file: 0o100000, symlink: 0o120000, 'character-device': 0o020000 };
const trailer = 'TRAILER!!!';

/** An archive of `entries` in the given order; everything belongs to root and dates from 1970. */
export function writeCpio(entries: readonly CpioEntry[]): Buffer {
  const parts: Buffer[] = [];
  entries.forEach((entry, index) => {
    // A parent must precede its content; otherwise the kernel silently drops the entry.
    if (entry.path.startsWith('/') || entry.path === '')
      throw new Error(`not a relative path: ${entry.path}`);
    const data = content(entry);
    const device = entry.kind === 'character-device' ? entry : { major: 0, minor: 0 };
    parts.push(
      header({
        inode: index + 1,
        mode: typeBits[entry.kind] | (entry.kind === 'symlink' ? 0o777 : entry.mode),
        links: entry.kind === 'directory' ? 2 : 1,
        bytes: data.length,
        deviceMajor: device.major,
        deviceMinor: device.minor,
        path: entry.path,
      }),
      padded(data),
    );
  });
  parts.push(
    header({ inode: 0, mode: 0, links: 1, bytes: 0, deviceMajor: 0, deviceMinor: 0, path: trailer }),
  );
  return Buffer.concat(parts);
}

function content(entry: CpioEntry): Buffer {
  if (entry.kind === 'file') return Buffer.from(entry.data.buffer, entry.data.byteOffset, entry.data.length);
  return entry.kind === 'symlink' ? Buffer.from(entry.target) : Buffer.alloc(0);
}

interface Header {
  readonly inode: number;
  readonly mode: number;
  readonly links: number;
  readonly bytes: number;
  readonly deviceMajor: number;
  readonly deviceMinor: number;
  readonly path: string;
}

function header(fields: Header): Buffer {
  const name = Buffer.from(`${fields.path}\0`);
  const numbers = [
    fields.inode,
    fields.mode,
    0, // uid
    0, // gid
    fields.links,
    0, // mtime
    fields.bytes,
    0, // major of the file system
    0, // minor of the file system
    fields.deviceMajor,
    fields.deviceMinor,
    name.length,
    0, // checksum, unused in this variant
  ];
  const text = `070701${numbers.map((number) => number.toString(16).padStart(8, '0')).join('')}`;
  return padded(Buffer.concat([Buffer.from(text), name]));
}

function padded(data: Buffer): Buffer {
  const rest = data.length % 4;
  return rest === 0 ? data : Buffer.concat([data, Buffer.alloc(4 - rest)]);
}
