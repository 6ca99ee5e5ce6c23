/** Shared fakes of set-up's tests: hand-made kernel files, and programs that only record their calls. */
import { chmod, mkdir, readFile, writeFile } from 'node:fs/promises';
import { delimiter, join } from 'node:path';
import { zstdCompressSync } from 'node:zlib';

export { sourceRootDefault as sourceRoot } from './context.ts';

/** A bzImage of protocol 2.15 with one setup sector that carries `payload`. */
export function makeBzImage(
  payload: Buffer,
  changes: { version?: number; setupSectors?: number } = {},
): Buffer {
  const setupSectors = changes.setupSectors ?? 1;
  const offset = 64;
  const start = ((setupSectors || 4) + 1) * 512;
  const image = Buffer.alloc(start + offset + payload.length);
  image.writeUInt8(setupSectors, 0x1f1);
  image.write('HdrS', 0x202, 'latin1');
  image.writeUInt16LE(changes.version ?? 0x020f, 0x206);
  image.writeUInt32LE(offset, 0x248);
  image.writeUInt32LE(payload.length, 0x24c);
  payload.copy(image, start + offset);
  return image;
}

/** A fake of an unpacked kernel. */
export const fakeVmlinux = Buffer.concat([Buffer.from('\x7fELF', 'latin1'), Buffer.alloc(4096, 'kernel')]);

/** In the form of the kernel's build: compressed data followed by the unpacked size. */
export function zstdPayload(data: Buffer): Buffer {
  const size = Buffer.alloc(4);
  size.writeUInt32LE(data.length);
  return Buffer.concat([zstdCompressSync(data), size]);
}

/** The smallest ELF file with a `.modinfo` section. */
export function makeModule(modinfo: readonly string[], sectionName = '.modinfo'): Buffer {
  const names = Buffer.from(`\0.shstrtab\0${sectionName}\0`);
  const content = Buffer.from(modinfo.map((entry) => `${entry}\0`).join(''));
  const namesAt = 64;
  const contentAt = namesAt + names.length;
  const tableAt = Math.ceil((contentAt + content.length) / 8) * 8;
  const file = Buffer.alloc(tableAt + 3 * 64);
  file.write('\x7fELF\x02\x01\x01', 0, 'latin1');
  file.writeBigUInt64LE(BigInt(tableAt), 0x28);
  file.writeUInt16LE(64, 0x3a);
  file.writeUInt16LE(3, 0x3c);
  file.writeUInt16LE(1, 0x3e);
  names.copy(file, namesAt);
  content.copy(file, contentAt);
  const section = (index: number, nameAt: number, start: number, size: number) => {
    file.writeUInt32LE(nameAt, tableAt + index * 64);
    file.writeBigUInt64LE(BigInt(start), tableAt + index * 64 + 0x18);
    file.writeBigUInt64LE(BigInt(size), tableAt + index * 64 + 0x20);
  };
  section(1, 1, namesAt, names.length);
  section(2, 11, contentAt, content.length);
  return file;
}

/** A directory of shell scripts at the front of PATH; each call is one line of `calls`. */
export class FakePrograms {
  readonly dir: string;

  constructor(dir: string) {
    this.dir = dir;
  }

  get env(): Readonly<Record<string, string | undefined>> {
    return { ...process.env, PATH: `${this.dir}${delimiter}${process.env.PATH}` };
  }

  /** `body` is POSIX shell; `$calls` is where the call has been recorded. */
  async add(name: string, body: string): Promise<void> {
    await mkdir(this.dir, { recursive: true });
    const path = join(this.dir, name);
    const calls = join(this.dir, 'calls');
    await writeFile(path, `#!/bin/sh\ncalls='${calls}'\necho "${name} $*" >>"$calls"\n${body}\n`);
    await chmod(path, 0o755);
  }

  async calls(): Promise<readonly string[]> {
    const text = await readFile(join(this.dir, 'calls'), 'utf8').catch(() => '');
    return text.split('\n').filter((line) => line !== '');
  }
}
