/**
 * The client of a Flotilla daemon, for Node and the browser. Every call has a deadline; only reads are repeated by
 * themselves; every failure is a FlotillaError, except the caller's own abort.
 */
import { isRecord } from './errors.ts';
import { type ExecStreamOptions, execBody, execTimeoutSecondsDefault, streamExec } from './exec-stream.ts';
import { machinePath } from './paths.ts';
import {
  badResponse,
  type Call,
  type CallOptions,
  invalidArgument,
  Transport,
  type TransportOptions,
} from './transport.ts';
import type {
  ExecEvent,
  ExecRequest,
  ExecResult,
  Health,
  Machine,
  MachineCreate,
  MachineList,
  MachineListQuery,
  MachineStatus,
} from './types.ts';

/**
 * How long calls may take unless the call says otherwise. Start waits for a guest that answers; Node's own fetch gives
 * up on headers after 300 s, so nothing that answers at the end may wait longer.
 */
const deadlinesMs = {
  read: 30_000,
  create: 120_000,
  start: 240_000,
  stop: 120_000,
  wait: 45_000,
  delete: 120_000,
} as const;

const bufferedExecSecondsMax = 240;
const execGraceMs = 20_000;

export interface WaitQuery {
  readonly status: MachineStatus;
  /** Seconds. */
  readonly timeout?: number | undefined;
}

export interface DeleteOptions extends CallOptions {
  /** Deletes a running machine too. */
  readonly force?: boolean | undefined;
}

/** Machines; where an id is asked for, a unique name does as well. */
export class Machines {
  readonly #transport: Transport;

  constructor(transport: Transport) {
    this.#transport = transport;
  }

  async create(machine: MachineCreate, options?: CallOptions): Promise<Machine> {
    return this.#object({ method: 'POST', path: '/machines', body: machine }, deadlinesMs.create, options);
  }

  /** One page; `total` says how many there are. */
  async list(query: MachineListQuery = {}, options?: CallOptions): Promise<MachineList> {
    return this.#object({ method: 'GET', path: '/machines', query: { ...query } }, deadlinesMs.read, options);
  }

  async get(id: string, options?: CallOptions): Promise<Machine> {
    return this.#object({ method: 'GET', path: machinePath(id) }, deadlinesMs.read, options);
  }

  /** Resolves when the guest answers. */
  async start(id: string, options?: CallOptions): Promise<Machine> {
    return this.#object({ method: 'POST', path: `${machinePath(id)}/start` }, deadlinesMs.start, options);
  }

  async stop(id: string, options?: CallOptions): Promise<Machine> {
    return this.#object({ method: 'POST', path: `${machinePath(id)}/stop` }, deadlinesMs.stop, options);
  }

  /** Ends the guest, gracefully if it can, and starts it anew; resolves when it answers again. */
  async restart(id: string, options?: CallOptions): Promise<Machine> {
    return this.#object({ method: 'POST', path: `${machinePath(id)}/restart` }, deadlinesMs.start, options);
  }

  /**
   * Resolves when the machine has the status; fails with status 504 after `timeout` seconds (1 to 30, default 30), and
   * with 400 as soon as the machine fails.
   */
  async wait(id: string, query: WaitQuery, options?: CallOptions): Promise<Machine> {
    const call: Call = { method: 'GET', path: `${machinePath(id)}/wait`, query: { ...query } };
    return this.#object(call, deadlinesMs.wait, options);
  }

  async delete(id: string, options: DeleteOptions = {}): Promise<void> {
    const query = { force: options.force === true ? true : undefined };
    await this.#transport.json(
      { method: 'DELETE', path: machinePath(id), query },
      deadlinesMs.delete,
      options,
    );
  }

  /** Runs a command and answers at its end; for `timeout` up to 240 s, and output the server is willing to hold. */
  async exec(id: string, request: ExecRequest, options?: CallOptions): Promise<ExecResult> {
    const seconds = request.timeout ?? execTimeoutSecondsDefault;
    if (seconds > bufferedExecSecondsMax) {
      throw invalidArgument(
        `a buffered exec waits at most ${bufferedExecSecondsMax} s for its answer`,
        'use execStream',
      );
    }
    const call: Call = { method: 'POST', path: `${machinePath(id)}/exec`, body: execBody(request) };
    return this.#object(call, seconds * 1000 + execGraceMs, options);
  }

  /** Runs a command and yields its output as it comes, then how it ended; see `exec-stream.ts`. */
  execStream(
    id: string,
    request: ExecRequest,
    options: ExecStreamOptions = {},
  ): AsyncGenerator<ExecEvent, void, undefined> {
    return streamExec(this.#transport, id, request, options);
  }

  async #object<T extends object>(call: Call, timeoutMs: number, options?: CallOptions): Promise<T> {
    return objectFrom<T>(call, await this.#transport.json(call, timeoutMs, options));
  }
}

export class FlotillaClient {
  readonly machines: Machines;
  readonly #transport: Transport;

  constructor(options: TransportOptions) {
    this.#transport = new Transport(options);
    this.machines = new Machines(this.#transport);
  }

  /** Needs no key. */
  async health(options?: CallOptions): Promise<Health> {
    const call: Call = { method: 'GET', path: '/health' };
    return objectFrom<Health>(call, await this.#transport.json(call, deadlinesMs.read, options));
  }
}

function objectFrom<T extends object>(call: Call, value: unknown): T {
  if (!isRecord(value)) throw badResponse(`${call.method} ${call.path}: the answer is not an object`);
  return value as T;
}
