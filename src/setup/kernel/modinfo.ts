/** Reads a kernel module's `.modinfo` section, which avoids the need for `depmod` and `modprobe`. */
import { AppError } from '../../core/errors.ts';
import type { Compression } from './unpack.ts';

/** The largest module in use has about 5 MiB, with debug symbols 40. */
export const moduleBytesMax = 64 * 2 ** 20;

/** A driver for many devices has about 100 KiB. */
const modinfoBytesMax = 2 ** 20;
/** The kernel's own limit. */
const nameLengthMax = 55;

const elf = { sectionOffset: 0x28, sectionEntryBytes: 0x3a, sectionCount: 0x3c, namesIndex: 0x3e };

export interface Modinfo {
  /** Modules that must be loaded before this one, in the kernel's spelling (underscores). */
  readonly depends: readonly string[];
}

/** Whether a file can be a module that another one or a guest requests. */
export function isModuleFile(fileName: string): boolean {
  return /^[\w-]+\.ko(\.(xz|zst|gz))?$/.test(fileName) && moduleName(fileName).length <= nameLengthMax;
}

/** The kernel's spelling of a module name: `-` in the file name becomes `_`. */
export function moduleName(fileName: string): string {
  return fileName.replace(/\.ko(\.(xz|zst|gz))?$/, '').replaceAll('-', '_');
}

/** Reads `.modinfo` of a 64-bit little-endian module; raises `unsupported` for anything else. */
export function parseModinfo(module: Buffer): Modinfo {
  const section = findSection(module, '.modinfo');
  if (section.length > modinfoBytesMax)
    throw new AppError('unsupported', 'not a kernel module: too much .modinfo');
  const entries = section.toString('latin1').split('\0');
  const list = entries.find((entry) => entry.startsWith('depends='))?.slice('depends='.length) ?? '';
  return {
    depends: list
      .split(',')
      .filter((name) => name !== '')
      .map((name) => name.slice(0, nameLengthMax).replaceAll('-', '_')),
  };
}

function findSection(file: Buffer, wanted: string): Buffer {
  const refuse = () => new AppError('unsupported', `not a kernel module with a ${wanted} section`);
  // Class 2 is 64-bit, data 1 is little-endian.
  if (file.length < 64 || file.toString('hex', 0, 6) !== '7f454c460201') throw refuse();
  const tableStart = Number(file.readBigUInt64LE(elf.sectionOffset));
  const entryBytes = file.readUInt16LE(elf.sectionEntryBytes);
  const count = file.readUInt16LE(elf.sectionCount);
  if (tableStart + entryBytes * count > file.length || entryBytes < 64) throw refuse();
  const header = (index: number) => {
    const at = tableStart + index * entryBytes;
    const start = Number(file.readBigUInt64LE(at + 0x18));
    const size = Number(file.readBigUInt64LE(at + 0x20));
    return { nameAt: file.readUInt32LE(at), data: () => file.subarray(start, start + size) };
  };
  const namesIndex = file.readUInt16LE(elf.namesIndex);
  if (namesIndex >= count) throw refuse();
  const names = header(namesIndex).data();
  for (let index = 0; index < count; index++) {
    const { nameAt, data } = header(index);
    if (names.toString('latin1', nameAt, nameAt + wanted.length + 1) === `${wanted}\0`) return data();
  }
  throw refuse();
}

/** A module file's compression according to its extension; null for none. */
export function moduleCompression(fileName: string): Compression | null {
  if (fileName.endsWith('.zst')) return 'zstd';
  if (fileName.endsWith('.gz')) return 'gzip';
  return fileName.endsWith('.xz') ? 'xz' : null;
}
