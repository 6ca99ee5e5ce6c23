/** Makes short-lived certificates for tenants, each for one machine, and says where the gateway is. Called by dialects. */
import { randomBytes } from 'node:crypto';
import type { Logger } from '../../lib/log.ts';
import { timeText } from '../../lib/times.ts';
import { AppError } from '../errors.ts';
import type { Caller } from '../keys/caller.ts';
import { findMachine } from '../machines/lookup.ts';
import type { Machine } from '../machines/machine.ts';
import type { Clock } from '../ports/clock.ts';
import type { Store } from '../ports/store.ts';
import type { CertificateAuthority } from './certificate.ts';
import { parsePublicKey, publicKeyLine, type SshPublicKey } from './public-key.ts';

export const certificateSecondsMax = 3600;
export const certificateSecondsDefault = 300;
/** For clocks that differ. */
const earlierSeconds = 60;

export interface GatewayPlace {
  readonly hostKey: SshPublicKey;
  /** Null: it does not listen. */
  readonly port: number | null;
}

export interface IssuedCertificate {
  readonly machine: Machine;
  /** A line as in a file `id_ed25519-cert.pub`. */
  readonly certificate: string;
  readonly serial: string;
  readonly expiresAt: string;
  readonly authorityKey: string;
  readonly hostKey: string;
  readonly port: number;
}

export interface CertificateServiceDeps {
  readonly store: Store;
  readonly clock: Clock;
  readonly log: Logger;
  readonly authority: CertificateAuthority;
  readonly gateway: () => GatewayPlace;
}

export class CertificateService {
  readonly #deps: CertificateServiceDeps;

  constructor(deps: CertificateServiceDeps) {
    this.#deps = deps;
  }

  /**
   * A certificate for a key of the caller's, which ends with the caller's API key. Raises `not_found`, `invalid`, and
   * `unsupported` when the gateway does not listen.
   */
  async issue(
    { tenant, keyId }: Caller,
    idOrName: string,
    publicKey: string,
    seconds: number = certificateSecondsDefault,
  ): Promise<IssuedCertificate> {
    const { store, clock, log, authority, gateway } = this.#deps;
    if (!Number.isSafeInteger(seconds) || seconds < 1 || seconds > certificateSecondsMax) {
      throw new AppError('invalid', `ttl_seconds must be between 1 and ${certificateSecondsMax}`);
    }
    const machine = await findMachine(store, tenant, idOrName);
    const key = parsePublicKey(publicKey);
    const { port, hostKey } = gateway();
    if (port === null) {
      throw new AppError('unsupported', 'the SSH gateway does not listen', {
        hint: 'Set FLOTILLA_SSH_PORT and restart the daemon.',
      });
    }
    const nowSeconds = Math.floor(clock.now().getTime() / 1000);
    const serial = randomBytes(8).readBigUInt64BE() >> 1n;
    const blob = authority.make({
      ...{ key, serial, apiKeyId: keyId, principals: [machine.id], keyId: `${tenant} ${machine.id}` },
      ...{ validAfter: nowSeconds - earlierSeconds, validBefore: nowSeconds + seconds },
    });
    log.info(
      { machine: machine.id, serial: String(serial), fingerprint: key.fingerprint },
      'SSH certificate made',
    );
    return {
      ...{ machine, serial: String(serial), port },
      certificate: publicKeyLine({ type: `${key.type}-cert-v01@openssh.com`, blob }),
      expiresAt: timeText((nowSeconds + seconds) * 1000),
      authorityKey: publicKeyLine(authority.publicKey),
      hostKey: publicKeyLine(hostKey),
    };
  }
}
