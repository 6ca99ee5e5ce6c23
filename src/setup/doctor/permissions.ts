/** Modes and owners of files: a key that others read, or a disk that its VMM cannot open. */
import { lstat } from 'node:fs/promises';
import { type Finding, fail, warn } from './finding.ts';

export interface Expectation {
  readonly path: string;
  readonly kind: 'file' | 'directory';
  /** Permission bits as they are to be. */
  readonly mode: number;
  /** Null: whoever. */
  readonly owner: { readonly uid: number; readonly gid: number } | null;
  /** Whether someone else's reading it would be harm. */
  readonly isSecret: boolean;
}

export interface FileFacts {
  readonly kind: 'file' | 'directory' | 'other';
  readonly mode: number;
  readonly uid: number;
  readonly gid: number;
}

/** Null when there is nothing at the path. Follows no link. */
export async function readFileFacts(path: string): Promise<FileFacts | null> {
  const facts = await lstat(path).catch((error: NodeJS.ErrnoException) => {
    if (error.code === 'ENOENT' || error.code === 'ENOTDIR') return null;
    throw error;
  });
  if (facts === null) return null;
  const kind = facts.isFile() ? 'file' : facts.isDirectory() ? 'directory' : 'other';
  return { kind, mode: facts.mode & 0o7777, uid: facts.uid, gid: facts.gid };
}

/** What differs; nothing when all is as it should be. Pure. */
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
      fail('files', `${path} belongs to ${is} and should belong to ${should}`, `chown ${should} ${path}`),
    );
  }
  if (found.mode !== expected.mode) {
    const message = `${path} has mode ${octal(found.mode)} and should have ${octal(expected.mode)}`;
    const tell = isHarmful(expected, found.mode) ? fail : warn;
    findings.push(tell('files', message, `chmod ${octal(expected.mode)} ${path}`));
  }
  return findings;
}

/** Whether a state directory is this user's; only root can look into another's. Pure. */
export function checkOwner(stateDir: string, ownerUid: number, ownUid: number): Finding | null {
  if (ownerUid === ownUid) return null;
  const message = `${stateDir} belongs to user ${ownerUid}, and this is user ${ownUid}`;
  if (ownUid === 0) return warn('files', message, 'Run the daemon as the owner, or give it all to root.');
  const hint =
    'Run ./flotilla as its owner or as root, or set FLOTILLA_STATE_DIR to a directory of your own.';
  return fail('files', message, hint);
}

/** Looks at every file and judges it; what is not there is another check's business. */
export async function checkFiles(expectations: readonly Expectation[]): Promise<readonly Finding[]> {
  const findings: Finding[] = [];
  for (const expected of expectations) {
    const found = await readFileFacts(expected.path);
    if (found) findings.push(...checkFile(expected, found));
  }
  return findings;
}

/** Someone who should get through does not, someone gets in who should not, or one may replace another’s files. */
function isHarmful({ mode, isSecret }: Expectation, found: number): boolean {
  const isClosed = (mode & ~found & 0o1777) !== 0;
  const isOpen = (found & ~mode & (isSecret ? 0o077 : 0o022)) !== 0;
  return isClosed || isOpen;
}

function octal(mode: number): string {
  return mode.toString(8).padStart(4, '0');
}
