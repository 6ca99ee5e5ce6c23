/**
 * Checks root file systems and boot kits in the state directory: existence, completeness, readability for
 * VMMs.
 */
import { readdir, stat } from 'node:fs/promises';
import { basename, join } from 'node:path';
import { fileDigest } from '../../lib/digest.ts';
import { type CacheLayout, imageNameOf, type StateLayout } from '../../storage/layout.ts';
import { readJson } from '../fingerprint.ts';
import { type Finding, fail, ok, warn } from './finding.ts';
import { checkFile, readFileFacts } from './permissions.ts';
import type { RecordedMachine } from './state-files.ts';

const digestPattern = /^sha256:[0-9a-f]{64}$/;
const mib = 1024 * 1024;
/** Blobs may be hard links to the cache, which belongs to whoever ran set-up. */
const blobMode = { kind: 'file', mode: 0o444, owner: null, isSecret: false } as const;

export interface BlobFacts {
  readonly digest: string;
  readonly path: string;
  /** Null when the blob is missing. */
  readonly bytes: number | null;
  /** According to its image's record; null when only machines know the digest. */
  readonly bytesRecorded: number | null;
  /** Its actual digest; null when it was not computed. */
  readonly digestFound: string | null;
  /** Image name under which the cache has the same content. */
  readonly nameInCache: string | null;
  /** Whether set-up makes it; otherwise it was imported, and only the importer has the source. */
  readonly isBuiltIn: boolean;
  /** Image names that refer to it. */
  readonly names: readonly string[];
  /** Machines whose disks depend on it. */
  readonly machines: readonly string[];
}

export interface Layouts {
  readonly state: StateLayout;
  readonly cache: CacheLayout;
}

/** Every blob that an image name or a machine needs. `isDeep` reads them completely. */
export async function readBlobFacts(
  { state, cache }: Layouts,
  machines: readonly RecordedMachine[],
  isDeep: boolean,
): Promise<readonly BlobFacts[]> {
  const named = (await readRecords(state)).images;
  const cached = (await readImages(cache.images, (name) => join(cache.images, name, 'image.json'), ''))
    .images;
  const digests = [...named, ...machines.map(({ imageDigest }) => ({ digest: imageDigest }))];
  const facts: BlobFacts[] = [];
  for (const digest of new Set(digests.map((each) => each.digest))) {
    const path = state.blob(digest);
    const found = await stat(path).catch(() => null);
    const records = named.filter((image) => image.digest === digest);
    facts.push({
      digest,
      path,
      bytes: found?.size ?? null,
      bytesRecorded: records[0] ? records[0].rootMib * mib : null,
      digestFound: found && isDeep ? await fileDigest(path) : null,
      isBuiltIn: records.every((image) => image.isBuiltIn),
      nameInCache: cached.find((image) => image.digest === digest)?.name ?? null,
      names: records.map(({ name }) => name),
      machines: machines.filter(({ imageDigest }) => imageDigest === digest).map(({ name }) => name),
    });
  }
  return facts;
}

/** Judges one blob. Pure. */
export function checkBlob(facts: BlobFacts): readonly Finding[] {
  const { digest, bytes, bytesRecorded, digestFound, path, machines, names } = facts;
  const subject = names[0] ? `image ${names[0]}` : `image ${digest.slice(0, 'sha256:'.length + 12)}`;
  const users = machines.length === 0 ? '' : `; needed by ${machines.slice(0, 5).join(', ')}`;
  if (bytes === null) {
    // An unused image is imported again when requested.
    const tell = machines.length > 0 ? fail : warn;
    return [tell(subject, `its content is missing: ${path}${users}`, hintOf(facts))];
  }
  if (bytesRecorded !== null && bytes !== bytesRecorded) {
    const message = `it has ${bytes} bytes and should have ${bytesRecorded}: ${path}${users}`;
    return [fail(subject, message, `rm ${path}; then: ${hintOf(facts)}`)];
  }
  if (digestFound !== null && digestFound !== digest) {
    return [fail(subject, `its content has changed: ${path}${users}`, `rm ${path}; then: ${hintOf(facts)}`)];
  }
  return [];
}

function hintOf({ nameInCache, machines, isBuiltIn }: BlobFacts): string {
  if (nameInCache !== null) return 'The cache has it: ./flotilla down, then ./flotilla up brings it in.';
  if (machines.length === 0) {
    return isBuiltIn
      ? './flotilla setup makes the image again.'
      : 'Restart the daemon, then import it again.';
  }
  return 'It is not in the cache either: restore the file from a backup, or delete these machines.';
}

/** Checks blobs and their modes; one line when everything is fine. */
export async function checkImages(
  layouts: Layouts,
  machines: readonly RecordedMachine[],
  isDeep: boolean,
): Promise<readonly Finding[]> {
  const blobs = await readBlobFacts(layouts, machines, isDeep);
  const { damaged } = await readRecords(layouts.state);
  const findings = damaged.map((path) =>
    fail(
      'images',
      `${path} is damaged`,
      `rm ${path}; then: ./flotilla setup, ./flotilla down, ./flotilla up`,
    ),
  );
  for (const blob of blobs) {
    findings.push(...checkBlob(blob));
    const file = await readFileFacts(blob.path);
    if (file) findings.push(...checkFile({ path: blob.path, ...blobMode }, file));
  }
  if (findings.length > 0) return findings;
  return [ok('images', `${blobs.length} there${isDeep ? ', contents checked' : ''}`)];
}

/** Checks the kit that new starts use. */
export async function checkBootKit({ state }: Layouts, isDeep: boolean): Promise<readonly Finding[]> {
  const current = await readJson(state.currentBootKit);
  if (current === null) {
    return [ok('boot kit', 'none here yet; the next start of the daemon brings it in from the cache')];
  }
  const hint = `Run: rm -r ${state.boot}; then ./flotilla setup, ./flotilla down and ./flotilla up.`;
  const { digest } = current;
  if (typeof digest !== 'string' || !digestPattern.test(digest)) {
    return [fail('boot kit', `${state.currentBootKit} is damaged`, hint)];
  }
  const dir = state.bootKit(digest);
  const kit = await readJson(join(dir, 'kit.json'));
  if (kit === null) return [fail('boot kit', `${join(dir, 'kit.json')} is missing or damaged`, hint)];
  const findings: Finding[] = [];
  for (const name of ['kernel', 'initrd'] as const) {
    const path = join(dir, name);
    const file = await readFileFacts(path);
    if (file === null) {
      findings.push(fail('boot kit', `${path} is missing; machines cannot start`, hint));
      continue;
    }
    findings.push(...checkFile({ path, ...blobMode }, file));
    if (isDeep && file.kind === 'file' && (await fileDigest(path)) !== kit[`${name}Digest`]) {
      findings.push(fail('boot kit', `the content of ${path} has changed`, hint));
    }
  }
  return findings.length > 0 ? findings : [ok('boot kit', `kernel ${String(kit.kernelRelease)}`)];
}

interface NamedImage {
  readonly name: string;
  readonly digest: string;
  readonly rootMib: number;
  readonly isBuiltIn: boolean;
}

/** The records of shared images and of all tenants. */
async function readRecords(state: StateLayout): ReturnType<typeof readImages> {
  const tenants = await readdir(state.tenantImages).catch(() => []);
  const dirs = [state.imageNames, ...tenants.map((tenant) => join(state.tenantImages, tenant))];
  const read = await Promise.all(dirs.map((dir) => readImages(dir, (name) => join(dir, name), '.json')));
  return { images: read.flatMap(({ images }) => images), damaged: read.flatMap(({ damaged }) => damaged) };
}

/** Image records in a directory with names ending in `suffix`, and the paths of invalid ones. */
async function readImages(
  dir: string,
  recordOf: (entry: string) => string,
  suffix: string,
): Promise<{ readonly images: readonly NamedImage[]; readonly damaged: readonly string[] }> {
  const entries = await readdir(dir).catch((error: NodeJS.ErrnoException) => {
    if (error.code === 'ENOENT') return [];
    throw error;
  });
  const images: NamedImage[] = [];
  const damaged: string[] = [];
  for (const entry of entries.filter((name) => !name.startsWith('.') && name.endsWith(suffix)).sort()) {
    const { digest, rootMib, isBuiltIn } = (await readJson(recordOf(entry))) ?? {};
    if (typeof digest !== 'string' || !digestPattern.test(digest) || typeof rootMib !== 'number') {
      damaged.push(recordOf(entry));
    } else
      images.push({
        name: imageNameOf(basename(entry, suffix)) ?? entry,
        digest,
        rootMib,
        isBuiltIn: isBuiltIn !== false,
      });
  }
  return { images, damaged };
}
