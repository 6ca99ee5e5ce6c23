/**
 * Checks modes and owners of files, for example a key that others can read, or a disk that its VMM cannot
 * open.
 */
import { lstat } from 'node:fs/promises';
import { type Finding, fail, warn } from './finding.ts';

export interface Expectation {
  readonly path: string;
  readonly kind: 'file' | 'directory';
  /** Expected permission bits. */
  readonly mode: number;
  /** Null: any owner. */
  readonly owner: { readonly uid: number; readonly gid: number } | null;
  /** Whether the content must be hidden from others. */
  readonly isSecret: boolean;
}

export interface FileFacts {
  readonly kind: 'file' | 'directory' | 'other';
  readonly mode: number;
  readonly uid: number;
  readonly gid: number;
}

/** Null when the path does not exist. Follows no link. */
export async function readFileFacts(path: string): Promise<FileFacts | null> {
  const facts = await lstat(path).catch((error: NodeJS.ErrnoException) => {
    if (error.code === 'ENOENT' || error.code === 'ENOTDIR') return null;
    throw error;
  });
  if (facts === null) return null;
  const kind = facts.isFile() ? 'file' : facts.isDirectory() ? 'directory' : 'other';
  return { kind, mode: facts.mode & 0o7777, uid: facts.uid, gid: facts.gid };
}

/** The differences from the expectation. Pure. */
export function checkFile(expected: Expectation, found: FileFacts): readonly Finding[] {
  const { path, owner } = expected;
  if (found.kind !== expected.kind) {
    return [
      fail('files', `${path} is no ${expected.kind}`, `Look at what it is, then remove it: ls -ld ${path}`),
    ];
  }
  const findings: Finding[] = [];
  if (owner && (found.uid !== owner.uid || found.gid !== owner.gid)) {
    const [is, should] = [`${found.uid}:${found.gid}`, `${owner.uid}:${owner.gid}`];
    findings.push(
      fail(
        'files',
        `${path} belongs to ${is} and should belong to ${should}`,
        `Run: chown ${should} ${path}`,
      ),
    );
  }
  if (found.mode !== expected.mode) {
    const message = `${path} has mode ${octal(found.mode)} and should have ${octal(expected.mode)}`;
    const tell = isHarmful(expected, found.mode) ? fail : warn;
    findings.push(tell('files', message, `Run: chmod ${octal(expected.mode)} ${path}`));
  }
  return findings;
}

/** Whether a state directory belongs to this user; only root can inspect another's. Pure. */
export function checkOwner(stateDir: string, ownerUid: number, ownUid: number): Finding | null {
  if (ownerUid === ownUid) return null;
  const message = `${stateDir} belongs to user ${ownerUid}, and this is user ${ownUid}`;
  if (ownUid === 0) return warn('files', message, 'Run the daemon as the owner, or give it all to root.');
  const hint =
    'Run ./flotilla as its owner or as root, or set FLOTILLA_STATE_DIR to a directory of your own.';
  return fail('files', message, hint);
}

/** Checks every file; missing files are another check's concern. */
export async function checkFiles(expectations: readonly Expectation[]): Promise<readonly Finding[]> {
  const findings: Finding[] = [];
  for (const expected of expectations) {
    const found = await readFileFacts(expected.path);
    if (found) findings.push(...checkFile(expected, found));
  }
  return findings;
}

/**
 * Permission findings: access that is missing, access that should not exist, or files that another user can
 * replace.
 */
function isHarmful({ mode, isSecret }: Expectation, found: number): boolean {
  const isClosed = (mode & ~found & 0o1777) !== 0;
  const isOpen = (found & ~mode & (isSecret ? 0o077 : 0o022)) !== 0;
  return isClosed || isOpen;
}

function octal(mode: number): string {
  return mode.toString(8).padStart(4, '0');
}
