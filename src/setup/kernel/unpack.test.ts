import { execFileSync } from 'node:child_process';
import { describe, expect, it } from 'vitest';
import { type Compression, unpacked } from './unpack.ts';

const pack = (compression: Compression, data: Buffer) =>
  execFileSync(compression, ['-c', '-1'], {
    input: data,
    maxBuffer: 1 << 26,
    stdio: ['pipe', 'pipe', 'ignore'],
  });

describe.each(['signed', 'hostile'] as const)('%s files', (trust) => {
  const unpack = async (compression: Compression, packed: Buffer, bytesMax: number) => {
    const context = { env: { PATH: process.env.PATH }, signal: AbortSignal.timeout(30_000), trust };
    const chunks = (async function* () {
      yield packed;
    })();
    const found: Buffer[] = [];
    for await (const chunk of unpacked(compression, chunks, bytesMax, context)) found.push(chunk);
    return Buffer.concat(found);
  };

  it.each(['gzip', 'xz', 'zstd', 'lz4'] as const)('%s is unpacked, up to a limit', async (compression) => {
    const data = Buffer.alloc(8 << 20, 'kernel');
    const packed = pack(compression, data);
    expect((await unpack(compression, packed, data.length)).equals(data)).toBe(true);
    const over = unpack(compression, packed, data.length - 1);
    await expect(over).rejects.toMatchObject({ code: 'unsupported' });
    await expect(unpack(compression, packed.subarray(0, packed.length / 2), data.length)).rejects.toThrow();
  });
});
