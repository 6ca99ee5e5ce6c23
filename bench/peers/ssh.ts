/** A command over ssh as people run it: a connection of its own for each, with a key made for the run. */
import { join } from 'node:path';
import { AppError } from '../../src/core/errors.ts';
import { ProcessError, run } from '../../src/lib/process.ts';

const commandTimeoutMs = 30_000;

export interface SshTarget {
  /** On 127.0.0.1. */
  readonly port: number;
  readonly keyFile: string;
}

/** The arguments of ssh that run `command` as root; nothing of this host's or user's configuration counts. Pure. */
export function sshArguments({ port, keyFile }: SshTarget, command: string): readonly string[] {
  const options = [
    'BatchMode=yes',
    'IdentitiesOnly=yes',
    'IdentityAgent=none',
    'StrictHostKeyChecking=no',
    'UserKnownHostsFile=/dev/null',
    'GlobalKnownHostsFile=/dev/null',
    'ControlMaster=no',
    'ControlPath=none',
    // Else it says each time that it has learnt the host's key.
    'LogLevel=ERROR',
  ];
  const given = options.flatMap((option) => ['-o', option]);
  return ['-F', 'none', ...given, '-i', keyFile, '-p', String(port), 'root@127.0.0.1', command];
}

/** Makes a key pair in `directory`; resolves with the private key’s path. Raises `unsupported` without an openssh client. */
export async function makeSshKey(directory: string, signal: AbortSignal): Promise<string> {
  const keyFile = join(directory, 'id_ed25519');
  try {
    await run('ssh-keygen', ['-q', '-t', 'ed25519', '-N', '', '-C', 'flotilla-bench', '-f', keyFile], {
      timeoutMs: commandTimeoutMs,
      signal,
    });
  } catch (error) {
    if (!(error instanceof ProcessError && error.isMissing)) throw error;
    throw new AppError('unsupported', 'there is no ssh client to compare with', {
      cause: error,
      hint: 'Install it: apt-get install openssh-client',
    });
  }
  return keyFile;
}

/** Connects, runs `true`, and waits for ssh to end. */
export async function sshTrue(target: SshTarget, signal: AbortSignal): Promise<void> {
  await run('ssh', sshArguments(target, 'true'), { timeoutMs: commandTimeoutMs, signal });
}
