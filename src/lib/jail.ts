/**
 * Runs programs on untrusted files. The program gets a user namespace in which it is root: there it can give
 * files to any user, which unpacking an image requires. On the host it is an otherwise unused user. It has no
 * network, only the capabilities it is given, and limits on memory, file size and processes, and cannot gain
 * privileges. It can reach its working directory, which it owns, and files that every user may read.
 *
 * The chain of programs: `setpriv` becomes the unprivileged user, `unshare` makes the namespaces, `sh` waits
 * until we have written the user maps (only a process outside may map more than one user), `prlimit` sets the
 * limits, `setpriv` drops capabilities. Needs root.
 */
import { constants } from 'node:fs';
import { chown, type FileHandle, open, writeFile } from 'node:fs/promises';
import { ProcessError, type RunOptions, type RunResult, run } from './process.ts';

/**
 * The host user that is root in the jail; user n there is `jailUid + n` here. Uses the upper half of all ids:
 * hosts, containers and VMMs use the lower half (https://systemd.io/UIDS-GIDS).
 */
export const jailUid = 2 ** 31;
/** The last id means "no user". */
const idCount = 2 ** 31 - 2;

/** Capabilities over the jail's own files, as `setpriv` names them. */
export type Capability = 'chown' | 'dac_override' | 'fowner' | 'fsetid' | 'setfcap';

export interface JailOptions extends Omit<RunOptions, 'isBoundToUs' | 'inheritFd' | 'gate' | 'cwd'> {
  /** A directory prepared by `giveToJail`; relative paths only reach files in it. */
  readonly cwd: string;
  /** Default: none. */
  readonly capabilities?: readonly Capability[];
  /** Limit of the address space. Default: 2 GiB. */
  readonly memoryBytesMax?: number;
  /**
   * Number of threads and processes. Default: 1. More is for multi-threaded programs, which may then also
   * start others.
   */
  readonly threadsMax?: number;
  /** Size limit of each file that the program writes. */
  readonly fileBytesMax: number;
}

const memoryBytesMaxDefault = 2 * 2 ** 30;
const openFilesMax = 256;

/** This host cannot make a jail. The message names the program that failed. */
export class JailError extends Error {
  override readonly name = 'JailError';
}

/** Waits for the user maps on descriptor 3, then executes the program. */
const waiter = 'echo >&3 && read -r go <&3 && exec "$@" 3<&-';

/** Like `run`. Raises JailError when this host cannot make a jail. */
export async function runJailed(
  command: string,
  args: readonly string[],
  given: JailOptions,
): Promise<RunResult> {
  const { capabilities = [], memoryBytesMax = memoryBytesMaxDefault, threadsMax = 1 } = given;
  const { fileBytesMax, ...options } = given;
  let isInside = false;
  const chain = [
    ...[`--reuid=${jailUid}`, `--regid=${jailUid}`, '--clear-groups', '--'],
    ...['unshare', '--user', '--net', '--ipc', '--', 'sh', '-c', waiter, 'sh'],
    ...['prlimit', `--as=${memoryBytesMax}`, `--fsize=${fileBytesMax}`, '--core=0'],
    ...[
      `--nproc=${threadsMax}`,
      `--nofile=${openFilesMax}`,
      '--',
      'setpriv',
      '--pdeathsig=KILL',
      '--no-new-privs',
      '--inh-caps=-all',
    ],
    `--bounding-set=${['-all', ...capabilities.map((each) => `+${each}`)].join(',')}`,
    ...['--', command, ...args],
  ];
  const gate = async (pid: number) => {
    const map = `0 ${jailUid} ${idCount}\n`;
    for (const file of ['uid_map', 'gid_map']) {
      await writeFile(`/proc/${pid}/${file}`, map).catch((error: Error) => {
        throw new JailError(`cannot map users: ${error.message}`, { cause: error });
      });
    }
    isInside = true;
  };
  try {
    return await run('setpriv', chain, { ...options, gate });
  } catch (error) {
    options.signal?.throwIfAborted();
    // A failure outside the jail is not the program's own.
    if (error instanceof ProcessError) throw isInside || error.isTimeout ? error.as(command) : refused(error);
    throw error;
  }
}

function refused(error: ProcessError): JailError {
  return new JailError(`cannot make namespaces: ${error.stderr.trim() || error.message}`, {
    cause: error,
  });
}

/**
 * Makes an empty directory owned by the jail. Its parents may be closed to the jail, because the program
 * starts in it.
 */
export async function giveToJail(directory: string): Promise<void> {
  await chown(directory, jailUid, jailUid);
}

/**
 * Opens a file that a jail has made and makes us its owner. A compromised program may have put a link to a
 * host file there; that is refused.
 */
export async function takeFromJail(path: string): Promise<FileHandle> {
  const { O_RDWR, O_NOFOLLOW, O_NONBLOCK } = constants;
  const file = await open(path, O_RDWR | O_NOFOLLOW | O_NONBLOCK);
  try {
    const facts = await file.stat();
    if (!facts.isFile() || facts.nlink !== 1 || facts.uid < jailUid) {
      throw new JailError(`${path} is not a regular file made by the jail`);
    }
    await file.chown(0, 0);
    return file;
  } catch (error) {
    await file.close();
    throw error;
  }
}
