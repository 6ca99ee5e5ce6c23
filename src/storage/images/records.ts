/** The JSON records of set-up in the cache and of the store; both have the same form. */
import { readFile } from 'node:fs/promises';
import { z } from 'zod';
import { AppError } from '../../core/errors.ts';
import { isImageName } from '../../core/images/names.ts';

const digest = z.string().regex(/^sha256:[0-9a-f]{64}$/);

/**
 * `image.json` in the cache, and the records in the state directory. Unknown fields are dropped. Set-up's
 * records lack the fields with defaults.
 */
export const imageRecord = z.object({
  name: z.string().refine(isImageName),
  digest,
  rootMib: z.int().positive(),
  memoryMibMin: z.int().positive(),
  createdAt: z.iso.datetime(),
  tenant: z.string().nullable().default(null),
  isBuiltIn: z.boolean().default(true),
  /** The boot kit of an image with its own kernel. */
  kitDigest: digest.nullable().default(null),
  kernelRelease: z.string().nullable().default(null),
});
export type ImageRecord = z.infer<typeof imageRecord>;

/** `kit.json`. */
export const bootKitRecord = z.object({
  digest,
  kernelDigest: digest,
  initrdDigest: digest,
  kernelRelease: z.string().min(1),
  kernelArgs: z.string(),
  /** See `BootKit`; absent in kits of distributions' kernels. */
  needsAcpi: z.boolean().default(true),
  agentVersion: z.string(),
});

export type BootKitRecord = z.infer<typeof bootKitRecord>;

/** The result of an import before publishing. */
export const madeImage = imageRecord.pick({ rootMib: true, digest: true, createdAt: true }).extend({
  kitDigest: digest.nullable(),
});
export type MadeImage = z.infer<typeof madeImage>;

/** `boot/current.json`. */
export const currentBootKit = z.object({ digest, before: digest.nullable().default(null) });

/** Reads and validates a record; null when the file is absent, `internal` when it is invalid. */
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
