/** One image in the cache: `root.ext4` and `image.json`, published together. */
import { mkdir, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import type { CacheLayout } from '../../storage/layout.ts';
import { type FileRecord, isUnchanged, readJson, recordFile } from '../fingerprint.ts';
import { publish, withWorkspace } from '../workspace.ts';

export interface ImageFacts {
  readonly name: string;
  readonly rootMib: number;
  readonly memoryMibMin: number;
}

/** True when the cache has the image of `inputsHash`; null accepts any complete image. */
export async function isImageBuilt(
  cache: CacheLayout,
  name: string,
  inputsHash: string | null,
): Promise<boolean> {
  const dir = cache.image(name);
  const record = await readJson(join(dir, 'image.json'));
  if (record === null || (inputsHash !== null && record.inputsHash !== inputsHash)) return false;
  const bytes = Number(record.rootMib) * 1024 * 1024;
  return isUnchanged(join(dir, 'root.ext4'), { ...(record as Partial<FileRecord>), bytes });
}

/** Lets `build` write `root.ext4` in a fresh directory, then records and publishes it. */
export async function publishImage(
  cache: CacheLayout,
  name: string,
  inputsHash: string,
  build: (rootPath: string, work: string) => Promise<ImageFacts>,
): Promise<void> {
  await withWorkspace(cache, async (work) => {
    const built = join(work, 'image');
    await mkdir(built, { mode: 0o755 });
    const rootPath = join(built, 'root.ext4');
    const facts = await build(rootPath, work);
    const { digest, mtimeMs } = await recordFile(rootPath);
    const record = { ...facts, digest, mtimeMs, createdAt: new Date().toISOString(), inputsHash };
    await writeFile(join(built, 'image.json'), `${JSON.stringify(record, null, 2)}\n`);
    await publish(built, cache.image(name));
  });
}
