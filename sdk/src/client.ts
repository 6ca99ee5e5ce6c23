/**
 * The client of a Flotilla daemon, for Node and browsers. Every call has a deadline. Only reads are retried
 * automatically. Every failure is a FlotillaError, except the caller's own abort.
 */
import { call } from './call.ts';
import { deadlinesMs } from './deadlines.ts';
import { Environments } from './environments.ts';
import { Execs } from './execs.ts';
import { Files } from './files.ts';
import { Images } from './images.ts';
import { Keys } from './keys.ts';
import { Machines } from './machines.ts';
import { Network } from './network.ts';
import { Operations } from './operations.ts';
import { Quotas } from './quotas.ts';
import { Routes } from './routes.ts';
import { Snapshots } from './snapshots.ts';
import { SshKeys } from './ssh-keys.ts';
import { Templates } from './templates.ts';
import { type CallOptions, Transport, type TransportOptions } from './transport.ts';
import type { Health } from './types.ts';

export class FlotillaClient {
  readonly environments: Environments;
  readonly execs: Execs;
  readonly files: Files;
  readonly images: Images;
  readonly keys: Keys;
  readonly machines: Machines;
  readonly network: Network;
  readonly operations: Operations;
  readonly routes: Routes;
  readonly snapshots: Snapshots;
  readonly sshKeys: SshKeys;
  readonly templates: Templates;
  readonly quotas: Quotas;
  readonly #transport: Transport;

  /** Sends no request. Throws FlotillaError `INVALID_ARGUMENT` for an address that is not http or https. */
  constructor(options: TransportOptions) {
    this.#transport = new Transport(options);
    this.environments = new Environments(this.#transport);
    this.execs = new Execs(this.#transport);
    this.files = new Files(this.#transport);
    this.images = new Images(this.#transport);
    this.keys = new Keys(this.#transport);
    this.machines = new Machines(this.#transport);
    this.network = new Network(this.#transport);
    this.operations = new Operations(this.#transport);
    this.routes = new Routes(this.#transport);
    this.snapshots = new Snapshots(this.#transport);
    this.sshKeys = new SshKeys(this.#transport);
    this.templates = new Templates(this.#transport);
    this.quotas = new Quotas(this.#transport);
  }

  /** Needs no key. */
  health(options?: CallOptions): Promise<Health> {
    return call(this.#transport, 'getHealth', {}, deadlinesMs.read, options);
  }
}
