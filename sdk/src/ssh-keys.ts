/** SSH keys, with which their owners enter machines through the SSH gateway, and certificates for one machine. */
import { call, type QueryOf } from './call.ts';
import { deadlinesMs } from './deadlines.ts';
import type { CallOptions, Transport } from './transport.ts';
import type { CreateSshCertificate, CreateSshKey, SshCertificate, SshKey, SshKeyList } from './types.ts';

export class SshKeys {
  readonly #transport: Transport;

  constructor(transport: Transport) {
    this.#transport = transport;
  }

  create(key: CreateSshKey, options?: CallOptions): Promise<SshKey> {
    return call(this.#transport, 'createSshKey', { body: key }, deadlinesMs.write, options);
  }

  /** Returns one page, newest first; `total` is the number of all SSH keys. */
  list(query: QueryOf<'listSshKeys'> = {}, options?: CallOptions): Promise<SshKeyList> {
    return call(this.#transport, 'listSshKeys', { query }, deadlinesMs.read, options);
  }

  /** By id, name or fingerprint. */
  get(id: string, options?: CallOptions): Promise<SshKey> {
    return call(this.#transport, 'getSshKey', { path: { id } }, deadlinesMs.read, options);
  }

  /** Ends the SSH connections that were made with it. */
  delete(id: string, options?: CallOptions): Promise<void> {
    return call(this.#transport, 'deleteSshKey', { path: { id } }, deadlinesMs.write, options);
  }

  /** Signs a public key, so that its private half can enter this machine for a few minutes. */
  certify(machine: string, request: CreateSshCertificate, options?: CallOptions): Promise<SshCertificate> {
    const parts = { path: { id: machine }, body: request };
    return call(this.#transport, 'createSshCertificate', parts, deadlinesMs.write, options);
  }
}
