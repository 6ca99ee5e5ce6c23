/** Runs a command over ssh: a new connection each time, with a key made for this run. */
import { join } from 'node:path';
import { AppError } from '../../src/core/errors.ts';
import { ProcessError, run } from '../../src/lib/process.ts';

const commandTimeoutMs = 30_000;

export interface SshTarget {
  /** Port on 127.0.0.1. */
  readonly port: number;
  readonly keyFile: string;
}

/** Arguments of ssh that run `command` as root, ignoring the configuration of this host and user. Pure. */
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
    // Otherwise ssh reports every newly learnt host key.
    'LogLevel=ERROR',
  ];
  const given = options.flatMap((option) => ['-o', option]);
  return ['-F', 'none', ...given, '-i', keyFile, '-p', String(port), 'root@127.0.0.1', command];
}

/**
 * Makes a key pair in `directory` and resolves with the private key’s path. Raises `unsupported` without an
 * OpenSSH client.
 */
export async function makeSshKey(directory: string, signal: AbortSignal): Promise<string> {
  const keyFile = join(directory, 'id_ed25519');
  try {
    await run('ssh-keygen', ['-q', '-t', 'ed25519', '-N', '', '-C', 'flotilla-bench', '-f', keyFile], {
      timeoutMs: commandTimeoutMs,
      signal,
    });
  } catch (error) {
    if (!(error instanceof ProcessError && error.isMissing)) throw error;
    throw new AppError('unsupported', 'no ssh client is installed', {
      cause: error,
      hint: 'Install it: apt-get install openssh-client',
    });
  }
  return keyFile;
}

/** Connects, runs `true`, and waits until ssh exits. */
export async function sshTrue(target: SshTarget, signal: AbortSignal): Promise<void> {
  await run('ssh', sshArguments(target, 'true'), { timeoutMs: commandTimeoutMs, signal });
}
