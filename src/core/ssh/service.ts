/** The use cases of registered SSH keys. Each caller sees its own tenant's only. */
import { shortId } from '../../lib/ids.ts';
import type { Logger } from '../../lib/log.ts';
import { AppError } from '../errors.ts';
import type { EventBus } from '../events/bus.ts';
import type { Caller } from '../keys/caller.ts';
import { KeyEndings, revoked } from '../keys/endings.ts';
import type { Clock } from '../ports/clock.ts';
import type { SshKeyPage, Store } from '../ports/store.ts';
import { type MachineKey, MachineKeyEndings } from './machine-key-endings.ts';
import { parsePublicKey, publicKeyLine } from './public-key.ts';
import type { SshKey } from './ssh-key.ts';

/** Limit per tenant. */
export const sshKeysMax = 1_000;
export const sshKeyNameCharactersMax = 128;
const namePattern = /^[^\p{Cc}\p{Cs}]{1,128}$/u;

export interface NewSshKey {
  /** Absent: the key's comment, or its fingerprint. */
  readonly name?: string | undefined;
  /** A line as in `~/.ssh/id_ed25519.pub`. */
  readonly publicKey: string;
}

export interface SshKeyServiceDeps {
  readonly store: Store;
  readonly clock: Clock;
  readonly log: Logger;
}

export class SshKeyService {
  readonly #deps: SshKeyServiceDeps;
  readonly #endings = new KeyEndings();
  readonly #machineKeys: MachineKeyEndings;

  constructor(deps: SshKeyServiceDeps) {
    this.#deps = deps;
    this.#machineKeys = new MachineKeyEndings(deps);
  }

  /** Raises `invalid`, `conflict` (the key or its name is registered, or too many are), `unauthenticated`. */
  async create(caller: Caller, { name, publicKey }: NewSshKey): Promise<SshKey> {
    const { store, clock, log } = this.#deps;
    const parsed = parsePublicKey(publicKey);
    const key: SshKey = {
      id: shortId(),
      tenant: caller.tenant,
      name: name ?? (namePattern.test(parsed.comment) ? parsed.comment : parsed.fingerprint),
      publicKey: publicKeyLine(parsed),
      fingerprint: parsed.fingerprint,
      createdBy: caller.keyId,
      createdAt: clock.now().toISOString(),
    };
    if (!namePattern.test(key.name)) {
      throw new AppError('invalid', 'the name of an SSH key must have 1 to 128 printable characters');
    }
    await store.transaction(async (tx) => {
      // A key that is revoked concurrently must not leave another way in behind.
      const maker = caller.keyId === null ? null : await tx.keys.get(caller.keyId);
      if (caller.keyId !== null && (maker === null || maker.revokedAt !== null)) throw revoked();
      if ((await tx.sshKeys.count(caller.tenant)) >= sshKeysMax) {
        throw new AppError('conflict', `there are ${sshKeysMax} SSH keys already`, {
          hint: 'Delete SSH keys that are no longer used.',
        });
      }
      await tx.sshKeys.insert(key);
    });
    log.info({ sshKeyId: key.id, tenant: key.tenant, fingerprint: key.fingerprint }, 'SSH key registered');
    return key;
  }

  /** Newest first. */
  list(tenant: string, page: { readonly limit: number; readonly offset: number }): Promise<SshKeyPage> {
    return this.#deps.store.sshKeys.list({ tenant, ...page });
  }

  /** By id, name or fingerprint. Raises `not_found`. */
  async get(tenant: string, text: string): Promise<SshKey> {
    const key = await this.#deps.store.sshKeys.find(tenant, text);
    if (key !== null) return key;
    throw new AppError('not_found', `SSH key '${text}' not found`, {
      hint: 'flotilla ssh-keys ls shows your SSH keys.',
    });
  }

  /** Ends the connections that were made with it. Raises `not_found`. */
  async delete(tenant: string, text: string): Promise<void> {
    const { store, clock, log } = this.#deps;
    const { id } = await this.get(tenant, text);
    await store.transaction((tx) => tx.sshKeys.remove(id, clock.now().toISOString()));
    this.#endings.revoke(id);
    log.info({ sshKeyId: id, tenant }, 'SSH key deleted');
  }

  /** Ends the connections of keys that another daemon has deleted, or taken from their machine, as the event bus reports. */
  follow(bus: Pick<EventBus, 'subscribeAll'>): void {
    this.#machineKeys.follow(bus);
    bus.subscribeAll(({ type, subject }) => {
      if (type === 'ssh_key.deleted') this.#endings.revoke(subject.id);
    });
  }

  /** Calls the listener once when the key is deleted. Returns a function that ends the watch. */
  watchEnd(sshKeyId: string, listener: (reason: AppError) => void): () => void {
    const ended = () => listener(new AppError('unauthenticated', 'the SSH key has been deleted'));
    return this.#endings.watch({ keyId: sshKeyId, expiresAt: null }, this.#deps.clock.now(), ended);
  }

  /** Calls the listener once when the key is taken from its machine, or the machine is deleted. Returns a function that ends the watch. */
  watchMachineKey(key: MachineKey, listener: (reason: AppError) => void): () => void {
    return this.#machineKeys.watch(key, listener);
  }
}
