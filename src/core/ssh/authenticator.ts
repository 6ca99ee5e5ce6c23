/**
 * Says who an SSH client is, and which machines it may enter: by API key, registered key, key of a machine or certificate. Called by the SSH
 * gateway; knows nothing of its protocol beyond keys and signatures. What it raises is for the log: a client learns only that
 * it was refused, whatever the reason.
 */
import { AppError } from '../errors.ts';
import { type Caller, checkScope, type KeyVerifier } from '../keys/caller.ts';
import type { KeyService } from '../keys/service.ts';
import { idOrNameIn, lookUpMachine, machineNotFound } from '../machines/lookup.ts';
import type { Machine } from '../machines/machine.ts';
import type { Clock } from '../ports/clock.ts';
import type { Store } from '../ports/store.ts';
import {
  type CertificateAuthority,
  keyExtension,
  readCertificate,
  type SshCertificate,
} from './certificate.ts';
import type { MachineKey } from './machine-key-endings.ts';
import { readPublicKey, type SshPublicKey } from './public-key.ts';
import { fingerprintOf } from './ssh-key.ts';

/** Names of one key among tenants; more are a mistake. */
const tenantsPerKeyMax = 16;

export interface SshIdentity {
  readonly caller: Caller;
  /** Ids of the only machines that it may enter; null: all of its tenant. */
  readonly machineIds: readonly string[] | null;
  /** The registered key; null: another kind of identity. */
  readonly sshKeyId: string | null;
  /** The key of a machine's own; null: another kind of identity. */
  readonly machineKey: MachineKey | null;
  /** When it ends by itself; null: with the caller's key. */
  readonly expiresAtMs: number | null;
  /** For the log. */
  readonly label: string;
}

/** What identities of a tenant, not of a machine, have in common. */
const wholeTenant = { machineIds: null, sshKeyId: null, machineKey: null, expiresAtMs: null } as const;

/** A key that is known; the client has yet to sign with it. */
export interface KnownKey {
  readonly key: SshPublicKey;
  readonly identity: SshIdentity;
}

export interface SshAuthenticatorDeps {
  readonly store: Store;
  readonly clock: Clock;
  /** Verifies all API keys, the operator's too. */
  readonly keys: KeyVerifier;
  readonly apiKeys: Pick<KeyService, 'callerOf'>;
  readonly authority: CertificateAuthority;
}

export class SshAuthenticator {
  readonly #deps: SshAuthenticatorDeps;

  constructor(deps: SshAuthenticatorDeps) {
    this.#deps = deps;
  }

  /** Null: a client that gives nothing. Raises `unauthenticated`. */
  async withApiKey(secret: string | null): Promise<SshIdentity> {
    const caller = await this.#deps.keys.verify(secret);
    return { ...wholeTenant, caller, label: 'API key' };
  }

  /** `login` chooses among tenants that have registered the same key, and machines that have it as their own. Raises `unauthenticated`, `invalid`. */
  async withKey(blob: Uint8Array, login: string): Promise<KnownKey> {
    const key = readPublicKey(blob);
    const fingerprint = fingerprintOf(blob);
    const registered = await this.#deps.store.sshKeys.withFingerprint(fingerprint, tenantsPerKeyMax);
    const known: SshIdentity[] = [];
    for (const { id, tenant, name, createdBy } of registered) {
      const caller = await this.#callerOf(createdBy, tenant, name).catch(() => null);
      if (caller === null) continue;
      const identity = { ...wholeTenant, caller, sshKeyId: id, label: `SSH key ${id}` };
      if ((await lookUpMachine(this.#deps.store, tenant, login)) !== null) return { key, identity };
      known.push(identity);
    }
    // What a client learns must not depend on whether the machine that it names exists.
    const identity =
      (await this.#withMachineKey(fingerprint, idOrNameIn(login))) ??
      known[0] ??
      (await this.#withMachineKey(fingerprint, null));
    if (identity === null) throw new AppError('unauthenticated', 'the key is not registered');
    return { key, identity };
  }

  /** For the machine that is meant, or any one, and that has this key as one of its own. */
  async #withMachineKey(fingerprint: string, idOrName: string | null): Promise<SshIdentity | null> {
    const [machine] = await this.#deps.store.machines.withSshKey(fingerprint, idOrName, 1);
    if (machine === undefined) return null;
    const { id: machineId, tenant } = machine;
    const label = `SSH key of machine ${machineId}`;
    const caller = await this.#callerOf(null, tenant, label);
    const machineKey = { machineId, fingerprint };
    return { caller, machineIds: [machineId], sshKeyId: null, machineKey, expiresAtMs: null, label };
  }

  /** Raises `unauthenticated`, `invalid`. */
  async withCertificate(blob: Uint8Array, login: string): Promise<KnownKey> {
    const certificate = readCertificate(blob);
    this.#deps.authority.check(certificate, this.#deps.clock.now());
    const tenant = await this.#tenantOf(certificate, login);
    const apiKeyId = certificate.extensions.get(keyExtension)?.toString('utf8') ?? null;
    const caller = await this.#callerOf(apiKeyId, tenant, `certificate ${certificate.serial}`);
    if (caller.tenant !== tenant)
      throw new AppError('unauthenticated', 'the certificate is of another tenant');
    const identity: SshIdentity = {
      caller,
      machineIds: certificate.principals,
      sshKeyId: null,
      machineKey: null,
      expiresAtMs: timeOf(certificate.validBefore),
      label: `certificate ${certificate.serial}`,
    };
    return { key: certificate.key, identity };
  }

  /**
   * The machine that an identity may enter. Raises `not_found`, also for a machine that it may not know of, and `forbidden`
   * without the scope.
   */
  async machine({ caller, machineIds }: SshIdentity, login: string): Promise<Machine> {
    checkScope(caller, 'machines:exec');
    const machine = await lookUpMachine(this.#deps.store, caller.tenant, login);
    if (machine === null || (machineIds !== null && !machineIds.includes(machine.id))) {
      throw machineNotFound(login);
    }
    return machine;
  }

  /** The tenant of the machines that it names. */
  async #tenantOf({ principals }: SshCertificate, login: string): Promise<string> {
    for (const principal of principals) {
      const machine = await this.#deps.store.machines.get(principal);
      const isMeant = machine !== null && (machine.id === login || machine.spec.name === login);
      if (isMeant || (machine !== null && login.endsWith(machine.id))) return machine.tenant;
    }
    throw new AppError('unauthenticated', 'the certificate is for other machines');
  }

  /** The operator's registrations and certificates, and machines' own keys, are not bound to an API key. */
  async #callerOf(apiKeyId: string | null, tenant: string, keyName: string): Promise<Caller> {
    if (apiKeyId !== null) return this.#deps.apiKeys.callerOf(apiKeyId);
    const rights = { scopes: ['machines:exec'], expiresAt: null, tier: null, isOperator: false } as const;
    return { tenant, keyName, keyId: null, ...rights };
  }
}

/** In milliseconds; null for a time that nobody waits for. */
function timeOf(seconds: bigint): number | null {
  return seconds > 253_402_300_799n ? null : Number(seconds) * 1000;
}
