/** The JSON that set-up leaves in the cache and that the store keeps; one shape for both. */
import { readFile } from 'node:fs/promises';
import { z } from 'zod';
import { AppError } from '../../core/errors.ts';

const digest = z.string().regex(/^sha256:[0-9a-f]{64}$/);

/** `image.json` in the cache, `images/names/<name>.json` in the state directory. Unknown fields are dropped. */
export const imageRecord = z.object({
  name: z.string().regex(/^[a-z0-9][a-z0-9._-]{0,126}$/),
  digest,
  rootMib: z.int().positive(),
  memoryMibMin: z.int().positive(),
  createdAt: z.iso.datetime(),
});

/** `kit.json`. */
export const bootKitRecord = z.object({
  digest,
  kernelDigest: digest,
  initrdDigest: digest,
  kernelRelease: z.string().min(1),
  kernelArgs: z.string(),
  agentVersion: z.string(),
});

/** `boot/current.json`. */
export const currentBootKit = z.object({ digest });

/** Reads and checks a record; null when the file is absent, `internal` when it is not what it should be. */
export async function readRecord<T>(path: string, schema: z.ZodType<T>): Promise<T | null> {
  let text: string;
  try {
    text = await readFile(path, 'utf8');
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ENOENT') return null;
    throw error;
  }
  try {
    return schema.parse(JSON.parse(text));
  } catch (error) {
    throw new AppError('internal', `${path} is damaged`, { cause: error });
  }
}
