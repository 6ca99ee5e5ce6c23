/**
 * Runs programs on a stranger's files. The program sees a user namespace in which it is root: there it can give files to
 * any user, which is what unpacking an image takes, and on the host it is a user that nobody is. It has no network, only
 * the capabilities it is given, and bounds on memory, file size and processes; it cannot gain privileges. It reaches the
 * directory it starts in, which belongs to it, and what everybody may read.
 *
 * The chain of programs: `setpriv` becomes the unprivileged user, `unshare` makes the namespaces, `sh` waits until we
 * have written the maps of users (only a process outside may map more than one), `prlimit` sets the bounds, `setpriv`
 * drops capabilities. Needs root.
 */
import { constants } from 'node:fs';
import { chown, type FileHandle, open, writeFile } from 'node:fs/promises';
import { ProcessError, type RunOptions, type RunResult, run } from './process.ts';

/**
 * The user that is root in the jail; user n there is `jailUid + n` here. The upper half of all numbers: hosts,
 * containers and VMMs use the lower one (https://systemd.io/UIDS-GIDS).
 */
export const jailUid = 2 ** 31;
/** The last number means "no user". */
const idCount = 2 ** 31 - 2;

/** Capabilities over the jail's own files, as `setpriv` names them. */
export type Capability = 'chown' | 'dac_override' | 'fowner' | 'fsetid' | 'setfcap';

export interface JailOptions extends Omit<RunOptions, 'isBoundToUs' | 'inheritFd' | 'gate' | 'cwd'> {
  /** A directory that `giveToJail` was called for; relative paths only reach what is in it. */
  readonly cwd: string;
  /** Default: none. */
  readonly capabilities?: readonly Capability[];
  /** Address space. Default: 2 GiB. */
  readonly memoryBytesMax?: number;
  /** Default: 1. More is for programs that read and write in threads of their own; they may start others, too. */
  readonly threadsMax?: number;
  /** Of each file that the program writes. */
  readonly fileBytesMax: number;
}

const memoryBytesMaxDefault = 2 * 2 ** 30;
const openFilesMax = 256;

/** This host does not let us make a jail. The message says which program refused. */
export class JailError extends Error {
  override readonly name = 'JailError';
}

/** Waits for the maps on descriptor 3, and becomes the program. */
const waiter = 'echo >&3 && read -r go <&3 && exec "$@" 3<&-';

/** As `run`. Raises JailError when this host lacks what a jail is made of. */
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
        throw new JailError(`users cannot be mapped: ${error.message}`, { cause: error });
      });
    }
    isInside = true;
  };
  try {
    return await run('setpriv', chain, { ...options, gate });
  } catch (error) {
    options.signal?.throwIfAborted();
    // What fails outside is not the program's own doing.
    if (error instanceof ProcessError) throw isInside || error.isTimeout ? error.as(command) : refused(error);
    throw error;
  }
}

function refused(error: ProcessError): JailError {
  return new JailError(`namespaces cannot be made: ${error.stderr.trim() || error.message}`, {
    cause: error,
  });
}

/** Makes an empty directory the jail's own. What leads to it may stay closed to it: the program starts in it. */
export async function giveToJail(directory: string): Promise<void> {
  await chown(directory, jailUid, jailUid);
}

/**
 * Opens a file that a jail has made, for us to own. A program that was taken over may have put a link to a file of the
 * host there, which is refused.
 */
export async function takeFromJail(path: string): Promise<FileHandle> {
  const { O_RDWR, O_NOFOLLOW, O_NONBLOCK } = constants;
  const file = await open(path, O_RDWR | O_NOFOLLOW | O_NONBLOCK);
  try {
    const facts = await file.stat();
    if (!facts.isFile() || facts.nlink !== 1 || facts.uid < jailUid) {
      throw new JailError(`${path} is not a file that the jail made`);
    }
    await file.chown(0, 0);
    return file;
  } catch (error) {
    await file.close();
    throw error;
  }
}
