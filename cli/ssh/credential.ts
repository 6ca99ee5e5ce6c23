/**
 * A key made for one connection and the daemon's certificate for it, in a directory that is removed afterwards: nothing is
 * typed, and nothing lasts. Used by `ssh`.
 */
import { execFile } from 'node:child_process';
import { chmod, mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { promisify } from 'node:util';
import type { SshCertificate } from '../../sdk/src/index.ts';
import { CliError } from '../errors.ts';
import { gatewayAlias } from './place.ts';

const run = promisify(execFile);

export interface Credential extends AsyncDisposable {
  readonly certificate: SshCertificate;
  /** For OpenSSH's programs. */
  readonly options: readonly string[];
}

/** `certify` asks the daemon. Throws CliError without OpenSSH's programs. */
export async function makeCredential(
  certify: (publicKey: string) => Promise<SshCertificate>,
): Promise<Credential> {
  const directory = await mkdtemp(join(tmpdir(), 'flotilla-ssh-'));
  const remove = () => rm(directory, { recursive: true, force: true });
  try {
    await chmod(directory, 0o700);
    const key = join(directory, 'key');
    await run('ssh-keygen', ['-q', '-t', 'ed25519', '-N', '', '-C', 'flotilla', '-f', key]).catch(explain);
    const certificate = await certify((await readFile(`${key}.pub`, 'utf8')).trim());
    await writeFile(`${key}-cert.pub`, `${certificate.certificate}\n`);
    const knownHosts = join(directory, 'known_hosts');
    await writeFile(knownHosts, `${gatewayAlias} ${certificate.host_key}\n`);
    const settings = [
      `IdentityFile=${key}`,
      `CertificateFile=${key}-cert.pub`,
      'IdentitiesOnly=yes',
      `UserKnownHostsFile=${knownHosts}`,
      'GlobalKnownHostsFile=/dev/null',
      'StrictHostKeyChecking=yes',
      `HostKeyAlias=${gatewayAlias}`,
      'UpdateHostKeys=no',
      // One of the user's own would be another machine's connection.
      'ControlPath=none',
      `Port=${certificate.port}`,
      `User=${certificate.user}`,
    ];
    const options = settings.flatMap((setting) => ['-o', setting]);
    return { certificate, options, [Symbol.asyncDispose]: remove };
  } catch (error) {
    await remove();
    throw error;
  }
}

function explain(error: NodeJS.ErrnoException): never {
  if (error.code !== 'ENOENT') throw error;
  throw missingOpenSsh();
}

export function missingOpenSsh(): CliError {
  return new CliError('OpenSSH is not installed here', { hint: 'apt-get install openssh-client' });
}
