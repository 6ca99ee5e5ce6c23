/** Opens the SSH gateway: its keys in the state directory, its dependencies, its listeners. Called by `serve`. */
import { chmod, mkdir } from 'node:fs/promises';
import type { KeyVerifier } from '../core/keys/caller.ts';
import { SshAuthenticator } from '../core/ssh/authenticator.ts';
import { CertificateAuthority } from '../core/ssh/certificate.ts';
import { CertificateService } from '../core/ssh/certificate-service.ts';
import type { PortListeners } from '../core/ssh/machine-ports.ts';
import type { SshPublicKey } from '../core/ssh/public-key.ts';
import { writeFileAtomic } from '../lib/files.ts';
import type { Logger } from '../lib/log.ts';
import { SshGateway } from '../ssh/gateway.ts';
import { makePrivateKey, type PrivateKey, readPrivateKey } from '../ssh/host-key.ts';
import { SftpServer } from '../ssh/sftp.ts';
import { bringInGuestSftp } from '../storage/go-programs.ts';
import { CacheLayout, type StateLayout } from '../storage/layout.ts';
import type { Flotilla } from './compose.ts';
import type { Config } from './config.ts';
import { readSecretFile } from './secret-file.ts';

export interface SshKeys {
  readonly host: PrivateKey & { readonly text: string };
  readonly authority: CertificateAuthority;
}

export interface OpenSsh {
  /** Host and port of each listener. */
  readonly addresses: readonly { readonly host: string; readonly port: number }[];
  readonly hostKey: SshPublicKey;
  readonly certificates: CertificateService;
  close(): Promise<void>;
}

/** Reads the gateway's keys, or makes them at the first start. Raises `invalid` for a file that cannot be trusted. */
export async function loadSshKeys(layout: StateLayout): Promise<SshKeys> {
  await mkdir(layout.sshDir, { recursive: true, mode: 0o700 });
  await chmod(layout.sshDir, 0o700);
  const text = await loadKey(layout.sshHostKeyFile, 'flotilla-host-key');
  const authority = await loadKey(layout.sshAuthorityKeyFile, 'flotilla-certificate-authority');
  return {
    host: { ...readPrivateKey(text, layout.sshHostKeyFile), text },
    authority: new CertificateAuthority(readPrivateKey(authority, layout.sshAuthorityKeyFile).secretKey),
  };
}

async function loadKey(path: string, comment: string): Promise<string> {
  const known = await readSecretFile(path);
  if (known !== null) return known;
  const made = makePrivateKey(comment);
  await writeFileAtomic(path, made, 0o600);
  return made;
}

/** Raises `unavailable` when an address that was asked for is taken. */
export async function openSsh(
  config: Pick<Config, 'sshListen' | 'isSshListenSet' | 'sshPortHosts' | 'cacheDir'>,
  { host, authority }: SshKeys,
  flotilla: Flotilla,
  keys: KeyVerifier,
  log: Logger,
): Promise<OpenSsh> {
  const { store, edges, apiKeys, sshKeys, commands, connections, files, waking } = flotilla;
  const { clock } = edges;
  const program = await bringInGuestSftp(new CacheLayout(config.cacheDir), flotilla.layout);
  const sftp = new SftpServer({ files, program });
  const gateway = new SshGateway(
    {
      authenticator: new SshAuthenticator({ store, clock, keys, apiKeys, authority }),
      ...{ apiKeys, sshKeys, commands, connections, waking, log },
      sftp: (of, signal) => sftp.placed(of, signal),
      now: () => clock.now(),
    },
    { hostKeys: [host.text] },
  );
  const addresses: { host: string; port: number }[] = [];
  try {
    for (const place of config.sshListen) {
      addresses.push({ host: place.host, port: await gateway.listen(place) });
    }
  } catch (error) {
    if (config.isSshListenSet) {
      await gateway.close();
      throw error;
    }
    log.warn({ reason: String(error) }, 'SSH gateway not started');
  }
  if (addresses.length > 0) {
    log.info({ addresses, hostKey: host.publicKey.fingerprint }, 'SSH gateway listening');
  }
  await flotilla.sshPorts.open(portListeners(gateway, config.sshPortHosts), flotilla.bus);
  const place = { hostKey: host.publicKey, port: addresses[0]?.port ?? null };
  const close = async () => {
    await flotilla.sshPorts.close();
    await gateway.close();
  };
  const certificates = new CertificateService({ store, clock, log, authority, gateway: () => place });
  return { addresses, hostKey: host.publicKey, certificates, close };
}

/** A machine's port is open at all addresses of the gateway, or at none. */
function portListeners(gateway: SshGateway, hosts: readonly string[]): PortListeners {
  return {
    async listen(machineId, port) {
      try {
        for (const host of hosts) await gateway.listen({ host, port, machineId });
      } catch (error) {
        gateway.stopListening(machineId);
        throw error;
      }
    },
    stop: (machineId) => gateway.stopListening(machineId),
  };
}
