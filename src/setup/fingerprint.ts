/** Content hashes with which a step recognises that its result is up to date. */
import { createHash } from 'node:crypto';
import { readdir, readFile, stat } from 'node:fs/promises';
import { join } from 'node:path';
import { fileDigest } from '../lib/digest.ts';

/** SHA-256 of a value's JSON in hexadecimal; the order of keys matters. */
export function valueHash(value: unknown): string {
  return createHash('sha256').update(JSON.stringify(value)).digest('hex');
}

/** One hash over names and contents of all files below `root` that `isIncluded` accepts. */
export async function treeHash(root: string, isIncluded: (path: string) => boolean): Promise<string> {
  const entries = await readdir(root, { recursive: true, withFileTypes: true });
  const paths = entries
    .filter((entry) => entry.isFile())
    .map((entry) => join(entry.parentPath, entry.name).slice(root.length + 1))
    .filter(isIncluded)
    .sort();
  const hash = createHash('sha256');
  for (const path of paths) {
    const content = createHash('sha256').update(await readFile(join(root, path)));
    hash.update(`${path}\0${content.digest('hex')}\n`);
  }
  return hash.digest('hex');
}

/** A file's properties when it was made. */
export interface FileRecord {
  readonly bytes: number;
  readonly mtimeMs: number;
  readonly digest: string;
}

export async function recordFile(path: string): Promise<FileRecord> {
  const { size, mtimeMs } = await stat(path);
  return { bytes: size, mtimeMs, digest: await fileDigest(path) };
}

/**
 * Whether a file is unchanged. Read completely only when its time differs, as in a cache copied from another
 * machine. Records of earlier versions lack fields; only those present are compared.
 */
export async function isUnchanged(path: string, record: Partial<FileRecord>): Promise<boolean> {
  const facts = await stat(path).catch(() => null);
  if (facts === null || facts.size !== record.bytes) return false;
  if (record.digest === undefined || facts.mtimeMs === record.mtimeMs) return true;
  return (await fileDigest(path)) === record.digest;
}

/** A JSON object from a file; null when the file is missing or invalid. */
export async function readJson(path: string): Promise<Readonly<Record<string, unknown>> | null> {
  try {
    const value: unknown = JSON.parse(await readFile(path, 'utf8'));
    return typeof value === 'object' && value !== null ? (value as Record<string, unknown>) : null;
  } catch {
    return null;
  }
}
