/**
 * The reverse proxy: finds out where a request goes, has the machine woken, and passes the request on. Strangers reach it
 * without a key; they reach exposed ports and nothing else. Never reads a body and never trusts a header for a decision
 * but Host.
 */
import type { IncomingMessage, ServerResponse } from 'node:http';
import type { Socket } from 'node:net';
import { AppError } from '../core/errors.ts';
import type { AwakeMachine, WakeRequest } from '../core/machines/waking.ts';
import type { Destination, Reach } from '../core/routes/reach.ts';
import { abortable } from '../lib/abort.ts';
import type { Logger } from '../lib/log.ts';
import { isPrivate, noTarget, type Refusal, redirect, refusalOf, refuse } from './answers.ts';
import { forward } from './forward.ts';
import { type Body, bodyOf, refusalOfHead } from './framing.ts';
import { type Client, isOfThisHost, requestHeaders, schemeOf } from './headers.ts';
import { hostTarget, pathTarget, type TargetRules } from './target.ts';
import { type Admitted, admit, cookieOf } from './tickets.ts';
import { answerOn, tunnel } from './tunnel.ts';
import { type Connect, Upstreams } from './upstreams.ts';

export interface ProxyDeps {
  readonly reach: Reach;
  readonly rules: TargetRules;
  /** The longest wait of a request for its machine and for the program in it. */
  readonly wakeTimeoutMs: number;
  readonly log: Logger;
  /** Replaces `reach.connect`; for measurements without guests. */
  readonly connect?: Connect;
}

/** Requests that one machine may have under way, those included that wait for it to wake. */
const requestsPerMachineMax = 512;

/** A request’s wait for its machine. Most do not wait, and have no signal: making and ending one costs more than parsing the request. */
class Wait implements WakeRequest {
  readonly tenant: string;
  readonly machine: string;
  readonly isToWake: boolean;
  readonly timeoutMs: number;
  hasLeft = false;
  #controller: AbortController | null = null;

  constructor({ tenant, machineId, isToWake }: Destination, timeoutMs: number) {
    this.tenant = tenant;
    this.machine = machineId;
    this.isToWake = isToWake;
    this.timeoutMs = timeoutMs;
  }

  get signal(): AbortSignal {
    this.#controller ??= new AbortController();
    if (this.hasLeft) this.#controller.abort(clientLeft);
    return this.#controller.signal;
  }

  leave(): void {
    this.hasLeft = true;
    this.#controller?.abort(clientLeft);
  }
}

interface Target {
  readonly destination: Destination;
  readonly path: string;
}

interface Found extends Target, Pick<Admitted, 'rawHeaders'> {}

/** One for all requests: each ends with it, and making an error costs as much as parsing a request. */
const clientLeft = new Error('the client has left');

/** The request needs a token, and has none that opens the route. */
class NotAdmittedError extends Error {}

export class ReverseProxy {
  readonly #deps: ProxyDeps;
  readonly #upstreams: Upstreams;
  readonly #underWay = new Map<string, number>();

  constructor(deps: ProxyDeps) {
    this.#deps = deps;
    const { connect = (awake, port, signal) => deps.reach.connect(awake, port, signal) } = deps;
    this.#upstreams = new Upstreams(connect);
  }

  /** Answers a request; never raises. */
  async serve(incoming: IncomingMessage, outgoing: ServerResponse): Promise<void> {
    try {
      const body = this.#check(incoming);
      const { cookie, ...found } = await this.#find(incoming);
      if (cookie !== null) return this.#giveCookie(incoming, outgoing, found.path, cookie);
      await this.#on(found, outgoing, (awake) => {
        const { destination, path } = found;
        forward(incoming, outgoing, {
          ...{ upstreams: this.#upstreams, awake, guestPort: destination.port, path, body },
          headers: this.#headers(incoming, found),
          onError: (error) => this.#note(destination, error),
        });
      });
    } catch (error) {
      this.#refuse(incoming, outgoing, error);
    }
  }

  /** Answers a request for a WebSocket; never raises. */
  async upgrade(incoming: IncomingMessage, socket: Socket, head: Buffer): Promise<void> {
    try {
      if (this.#check(incoming) !== 'none') throw new AppError('invalid', 'an opening request has no body');
      const found = await this.#find(incoming);
      const { destination, path } = found;
      await this.#on(found, socket, async (awake) => {
        const stream = await this.#upstreams.connect(awake, destination.port);
        stream.on('error', () => socket.destroy());
        if (socket.destroyed) return void stream.destroy();
        const onError = (error: unknown) => this.#note(destination, error);
        tunnel(incoming, socket, head, stream, {
          path,
          headers: this.#headers(incoming, found),
          onError,
        });
      });
    } catch (error) {
      if (!socket.destroyed) this.#refuse(incoming, answerOn(incoming, socket), error);
    }
  }

  close(): void {
    this.#upstreams.close();
  }

  #check(incoming: IncomingMessage): Body {
    const wrong = refusalOfHead(incoming);
    const body = bodyOf(incoming);
    if (wrong !== null) throw new AppError('invalid', wrong);
    if (typeof body === 'object') throw new AppError('invalid', body.refusal);
    return body;
  }

  /** Runs `act` with the machine awake; it stays so, and counts as used, until `ending` closes. */
  async #on(
    { destination }: Found,
    ending: ServerResponse | Socket,
    act: (awake: AwakeMachine) => void | Promise<void>,
  ): Promise<void> {
    const { wakeTimeoutMs, reach } = this.#deps;
    const leave = this.#enter(destination.machineId);
    const wait = new Wait(destination, wakeTimeoutMs);
    let awake: AwakeMachine | null = null;
    ending.on('close', () => {
      leave();
      wait.leave();
      awake?.release();
    });
    if (ending.destroyed) return leave();
    const begunMs = performance.now();
    awake = await reach.wake(wait);
    if (wait.hasLeft) return awake.release();
    const graceMs = wakeTimeoutMs - (performance.now() - begunMs);
    const ready = this.#upstreams.readiness(awake, destination.port, graceMs);
    if (ready !== null) await abortable(ready, wait.signal);
    await act(awake);
  }

  /** Raises `not_found`, `forbidden` and NotAdmittedError. */
  async #find(incoming: IncomingMessage): Promise<Found & Pick<Admitted, 'cookie'>> {
    const target = await this.#target(incoming);
    if (target === null) throw new AppError('not_found', noTarget.message, { details: { target: null } });
    const { destination, path } = target;
    const { rawHeaders } = incoming;
    if (destination.lock === null) return { destination, path, rawHeaders, cookie: null };
    const admitted = admit(destination.lock, incoming, path, Date.now());
    if (admitted === null) throw new NotAdmittedError();
    return { destination, ...admitted };
  }

  async #target({ url = '/', headers }: IncomingMessage): Promise<Target | null> {
    const { reach, rules } = this.#deps;
    const host = hostTarget(headers.host ?? '', rules);
    const route = host === null ? null : await reach.bySubdomain(host.subdomain);
    if (route !== null) return { destination: route, path: url };
    if (host?.machine != null) {
      const { machineId, port } = host.machine;
      return { destination: await reach.byId(machineId, port), path: url };
    }
    const path = pathTarget(url, rules);
    return path && { destination: await reach.byId(path.machineId, path.port), path: path.path };
  }

  #headers({ socket }: IncomingMessage, { rawHeaders, destination: { machineId } }: Found): string[] {
    return requestHeaders(rawHeaders, { machineId, ...clientOf(socket) });
  }

  #giveCookie(
    { socket, rawHeaders }: IncomingMessage,
    outgoing: ServerResponse,
    path: string,
    { token, untilMs }: NonNullable<Admitted['cookie']>,
  ): void {
    const isEncrypted = schemeOf(rawHeaders, clientOf(socket)) === 'https';
    redirect(outgoing, path, cookieOf(token, untilMs, isEncrypted));
  }

  /** Counts a request under way; returns what ends it. */
  #enter(machineId: string): () => void {
    const count = this.#underWay.get(machineId) ?? 0;
    if (count >= requestsPerMachineMax)
      throw new AppError('exhausted', `machine ${machineId} has ${requestsPerMachineMax} requests under way`);
    this.#underWay.set(machineId, count + 1);
    let isIn = true;
    return () => {
      if (!isIn) return;
      isIn = false;
      const left = (this.#underWay.get(machineId) ?? 1) - 1;
      if (left > 0) this.#underWay.set(machineId, left);
      else this.#underWay.delete(machineId);
    };
  }

  #refuse(incoming: IncomingMessage, outgoing: ServerResponse, error: unknown): void {
    if (outgoing.destroyed) return;
    refuse(incoming, outgoing, this.#refusal(error));
  }

  #refusal(error: unknown): Refusal {
    if (error instanceof NotAdmittedError) return isPrivate;
    if (error instanceof AppError) {
      if (error.code === 'invalid') return { status: 400, message: error.message };
      if (error.details?.target === null) return noTarget;
    }
    const refusal = refusalOf(error);
    if (refusal !== null) return refusal;
    this.#deps.log.error({ err: error }, 'proxied request failed');
    return { status: 500, message: 'Internal error' };
  }

  #note({ machineId, port }: Destination, error: unknown): void {
    this.#deps.log.info({ machine: machineId, port, reason: String(error) }, 'proxied request not answered');
  }
}

/** Of open connections, which carry many requests. */
const clients = new WeakMap<Socket, Client>();

function clientOf(socket: Socket): Client {
  const known = clients.get(socket);
  if (known !== undefined) return known;
  const address = socket.remoteAddress?.replace(/^::ffff:/, '') ?? 'unknown';
  const client = { address, isEncrypted: 'encrypted' in socket, isTrusted: isOfThisHost(address) };
  clients.set(socket, client);
  return client;
}
