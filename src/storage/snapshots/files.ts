/**
 * Stores snapshots in `snapshots/<id>/`, accessible only to the daemon: `disk.qcow2`, the engine's files in `memory/`, and
 * `snapshot.json` with the size and digest of each. It is complete from the moment at which it has that name; until then it is `<id>.new`,
 * and `<id>.old` on its way out.
 *
 *   {"files":[{"name":"disk.qcow2","bytes":196816,"digest":"sha256:9f86…"}]}
 *   sha256:b5bb…   the digest of the line above
 */
import { createHash } from 'node:crypto';
import { readdir, readFile, rename, stat } from 'node:fs/promises';
import { join } from 'node:path';
import { z } from 'zod';
import { AppError } from '../../core/errors.ts';
import {
  damagedHint,
  type SnapshotContent,
  type SnapshotFiles,
  type SnapshotPlaces,
} from '../../core/ports/snapshots.ts';
import { abortable } from '../../lib/abort.ts';
import { fileDigest } from '../../lib/digest.ts';
import {
  ensureDirectory,
  exists,
  hasErrorCode,
  isOutOfSpace,
  syncDirectory,
  syncTree,
  writeFileAtomic,
} from '../../lib/files.ts';
import { KeyedLock } from '../../lib/keyed-lock.ts';
import { Lru } from '../../lib/lru.ts';
import { removeTree } from '../../lib/remove-tree.ts';
import { isResourceId, type StateLayout } from '../layout.ts';

const contentsSchema = z.object({
  files: z.array(z.object({ name: z.string(), bytes: z.int().min(0), digest: z.string() })),
});
type Contents = z.infer<typeof contentsSchema>;
type FileFacts = Contents['files'][number];

const listName = 'snapshot.json';
const diskName = 'disk.qcow2';
const memoryName = 'memory';
/** Snapshots whose files are not read again as long as they do not change; 40 forks of one read them once. */
const wholeMax = 1_000;
/** Of a directory that is being filled, and of one that is being removed. */
const suffixes = { filling: '.new', leaving: '.old' } as const;

export class StoredSnapshots implements SnapshotFiles {
  readonly #layout: StateLayout;
  readonly #lock = new KeyedLock();
  /** By id: what the system said of the files when they were last found whole. */
  readonly #whole = new Lru<string, string>(wholeMax);

  constructor(layout: StateLayout) {
    this.#layout = layout;
  }

  locate(id: string): SnapshotPlaces {
    return placesIn(this.#layout.snapshot(id));
  }

  begin(id: string, signal: AbortSignal): Promise<SnapshotPlaces> {
    return this.#inTurn(id, signal, async () => {
      const directory = this.#layout.snapshot(id) + suffixes.filling;
      await removeTree(directory);
      await ensureDirectory(join(directory, memoryName), 0o700);
      return placesIn(directory);
    });
  }

  publish(id: string, signal: AbortSignal): Promise<SnapshotContent> {
    return this.#inTurn(id, signal, async () => {
      const directory = this.#layout.snapshot(id);
      if (await exists(directory)) return contentOf(await this.#read(id));
      const filling = directory + suffixes.filling;
      try {
        const files: FileFacts[] = [];
        for (const name of await namesIn(filling)) files.push(await factsOf(filling, name, signal));
        await syncTree(filling);
        const line = JSON.stringify({ files } satisfies Contents);
        await writeFileAtomic(join(filling, listName), `${line}\n${digestOf(line)}\n`);
        await rename(filling, directory);
        await syncDirectory(this.#layout.snapshots);
        return contentOf({ files });
      } catch (error) {
        if (!isOutOfSpace(error)) throw error;
        throw new AppError('exhausted', 'no space left for the snapshot', {
          cause: error,
          hint: 'Free some space in the state directory, or delete snapshots or machines.',
        });
      }
    });
  }

  verify(id: string, signal: AbortSignal): Promise<SnapshotContent> {
    return this.#inTurn(id, signal, async () => {
      const contents = await this.#read(id);
      const before = await identitiesOf(this.#layout.snapshot(id), contents);
      if (before !== null && before === this.#whole.get(id)) return contentOf(contents);
      for (const listed of contents.files) {
        const found = await factsOf(this.#layout.snapshot(id), listed.name, signal).catch(
          (error: unknown) => {
            if (hasErrorCode(error, 'ENOENT')) throw damaged(id, `${listed.name} is missing`);
            throw error;
          },
        );
        if (found.bytes !== listed.bytes || found.digest !== listed.digest)
          throw damaged(id, `the content of ${listed.name} has changed`);
      }
      // Files that were changed meanwhile are read again the next time.
      if (before !== null) this.#whole.set(id, before);
      return contentOf(contents);
    });
  }

  remove(id: string, signal: AbortSignal): Promise<void> {
    return this.#inTurn(id, signal, async () => {
      const directory = this.#layout.snapshot(id);
      const leaving = directory + suffixes.leaving;
      await removeTree(leaving);
      // Takes the name away first: a removal in part must not look complete.
      await rename(directory, leaving).catch((error: unknown) => {
        if (!hasErrorCode(error, 'ENOENT')) throw error;
      });
      await removeTree(leaving);
      await removeTree(directory + suffixes.filling);
      if (await exists(this.#layout.snapshots)) await syncDirectory(this.#layout.snapshots);
    });
  }

  async list(signal: AbortSignal): Promise<readonly string[]> {
    const names = await abortable(
      readdir(this.#layout.snapshots).catch((error: unknown) => {
        if (hasErrorCode(error, 'ENOENT')) return [];
        throw error;
      }),
      signal,
    );
    return [...new Set(names.map((name) => name.replace(/\.(new|old)$/, '')))].filter(isResourceId);
  }

  #inTurn<T>(id: string, signal: AbortSignal, work: () => Promise<T>): Promise<T> {
    return abortable(this.#lock.run(id, work), signal);
  }

  async #read(id: string): Promise<Contents> {
    let text: string;
    try {
      text = await readFile(join(this.#layout.snapshot(id), listName), 'utf8');
    } catch (error) {
      if (hasErrorCode(error, 'ENOENT')) throw new AppError('not_found', `snapshot ${id} has no files here`);
      throw error;
    }
    const [line = '', digest] = text.split('\n');
    if (digest !== digestOf(line)) throw damaged(id, `the content of ${listName} has changed`);
    return contentsSchema.parse(JSON.parse(line));
  }
}

function contentOf({ files }: Contents): SnapshotContent {
  return {
    sizeBytes: files.reduce((sum, { bytes }) => sum + bytes, 0),
    hasMemory: files.some(({ name }) => name !== diskName),
  };
}

function damaged(id: string, how: string): AppError {
  return new AppError('conflict', `snapshot ${id} is damaged: ${how}`, { hint: damagedHint });
}

/** A file that is not whole has another digest than when it was whole. */
async function factsOf(directory: string, name: string, signal: AbortSignal): Promise<FileFacts> {
  const path = join(directory, name);
  const { size } = await stat(path);
  return { name, bytes: size, digest: await fileDigest(path, signal) };
}

/**
 * Identifies the files and their latest change. Only the daemon's user can enter the directory, so nobody else can set a time. (Not ctime: machines
 * made from the snapshot link to its memory, which changes that.)
 * Null when one is missing.
 */
async function identitiesOf(directory: string, { files }: Contents): Promise<string | null> {
  try {
    const all = files.map(({ name }) => stat(join(directory, name), { bigint: true }));
    return (await Promise.all(all))
      .map(({ dev, ino, size, mtimeNs }) => `${dev} ${ino} ${size} ${mtimeNs}`)
      .join();
  } catch (error) {
    if (hasErrorCode(error, 'ENOENT')) return null;
    throw error;
  }
}

async function namesIn(directory: string): Promise<readonly string[]> {
  const memory = await readdir(join(directory, memoryName));
  return [diskName, ...memory.map((name) => join(memoryName, name)).sort()];
}

function placesIn(directory: string): SnapshotPlaces {
  return { disk: join(directory, diskName), memory: join(directory, memoryName) };
}

function digestOf(text: string): string {
  return `sha256:${createHash('sha256').update(text).digest('hex')}`;
}
