/** What `doctor` says about the SSH gateway: where it listens, and the fingerprint that its clients are to see. */
import { type Finding, ok } from '../../setup/doctor/finding.ts';
import { readPrivateKey } from '../../ssh/host-key.ts';
import type { StateLayout } from '../../storage/layout.ts';
import type { Config } from '../config.ts';
import { inUrl } from '../host-names.ts';
import { readSecretFile } from '../secret-file.ts';

/** Raises `invalid` for a key that cannot be trusted. Makes nothing. */
export async function checkSsh(
  { sshListen }: Pick<Config, 'sshListen'>,
  { sshHostKeyFile }: Pick<StateLayout, 'sshHostKeyFile'>,
): Promise<readonly Finding[]> {
  if (sshListen.length === 0) return [ok('SSH gateway', 'off: FLOTILLA_SSH_PORT is 0')];
  const text = await readSecretFile(sshHostKeyFile);
  if (text === null) return [ok('SSH host key', 'not there yet; the first start makes it')];
  const { fingerprint } = readPrivateKey(text, sshHostKeyFile).publicKey;
  const places = sshListen.map(({ host, port }) => `${inUrl(host)}:${port}`).join(', ');
  return [ok('SSH host key', `${fingerprint} (ED25519), for ${places}`)];
}
