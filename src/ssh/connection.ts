/**
 * One client of the gateway: it authenticates, opens sessions and forwarded connections, and is closed when its identity
 * ends. Made by the gateway for each socket.
 */
import type { Socket } from 'node:net';
import type { AuthContext, Connection, ServerChannel, Session, TcpipRequestInfo } from 'ssh2';
import type { CommandsOf } from '../core/commands/command.ts';
import type { CommandService } from '../core/commands/service.ts';
import type { ConnectionService } from '../core/connections/service.ts';
import { AppError, isAppError } from '../core/errors.ts';
import type { KeyService } from '../core/keys/service.ts';
import type { Waking } from '../core/machines/waking.ts';
import type { SshAuthenticator, SshIdentity } from '../core/ssh/authenticator.ts';
import type { SshKeyService } from '../core/ssh/service.ts';
import { deadline } from '../lib/abort.ts';
import type { Logger } from '../lib/log.ts';
import { attemptsMax, judge, refuse } from './authentication.ts';
import { join } from './forwarding.ts';
import { isMachineItself, type Login, loginAt, parseLogin } from './login.ts';
import { type Entered, SshSession } from './session.ts';
import { WireChannel } from './wire-channel.ts';

/** Sessions and forwarded connections of one client at a time. */
export const channelsMax = 64;
/** Twice what a client may have sent without leave; more is no mistake. */
const unreadBytesMax = 4 * 1024 * 1024;
/** With more in the socket's buffer, the client is not read: it does not read either. */
const unsentBytesMax = 4 * 1024 * 1024;
/** For a machine to be ready; a start has its own deadline. */
const wakeMs = 120_000;
/** The maximum of Node's timers. */
const timerMsMax = 2 ** 31 - 1;

export interface ConnectionDeps {
  readonly authenticator: SshAuthenticator;
  readonly apiKeys: Pick<KeyService, 'watchEnd'>;
  readonly sshKeys: Pick<SshKeyService, 'watchEnd' | 'watchMachineKey'>;
  readonly commands: CommandService;
  readonly connections: ConnectionService;
  readonly waking: Waking;
  readonly sftp: (of: CommandsOf, signal: AbortSignal) => Promise<string>;
  readonly now: () => Date;
  readonly log: Logger;
}

export interface ConnectionContext {
  readonly socket: Socket;
  readonly address: string;
  /** The machine of the port that the client came to; null: its login name says which. */
  readonly machineId: string | null;
  /** Called once, when the client has authenticated. Raises `exhausted` when its tenant has too many connections. */
  readonly onAdmitted: (identity: SshIdentity) => void;
  readonly onGuess: () => void;
}

export class SshConnection {
  readonly #client: Connection;
  readonly #deps: ConnectionDeps;
  readonly #context: ConnectionContext;
  readonly #closed = new AbortController();
  readonly #channels = new Set<ServerChannel>();
  #identity: SshIdentity | null = null;
  #login: Login = { machine: '', user: null, isUserOptional: false };
  #attempts = 0;

  constructor(client: Connection, deps: ConnectionDeps, context: ConnectionContext) {
    this.#client = client;
    this.#deps = deps;
    this.#context = context;
    const { socket } = context;
    client.on('error', (error) => deps.log.debug({ reason: String(error) }, 'SSH client failed'));
    socket.once('close', () => this.#closed.abort(new Error('the client has gone')));
    // After ssh2's own listener, which has handled the piece.
    socket.on('data', () => this.#guardBuffers());
    client.on('authentication', (attempt) => void this.#authenticate(attempt));
    client.on('ready', () => this.#serve());
  }

  /** Tells the sessions why, and ends the connection. */
  close(reason: AppError): void {
    this.#closed.abort(reason);
    this.#client.end();
    this.#context.socket.destroySoon();
  }

  async #authenticate(attempt: AuthContext): Promise<void> {
    const { deps, context } = { deps: this.#deps, context: this.#context };
    this.#attempts += attempt.method === 'none' ? 0 : 1;
    if (this.#attempts > attemptsMax) return void this.#client.end();
    // ssh2 lets a client keep to the name of its first attempt only.
    this.#login =
      context.machineId === null
        ? parseLogin(attempt.username)
        : loginAt(context.machineId, attempt.username);
    try {
      const judged = await judge(attempt, deps.authenticator, this.#login.machine);
      if (judged.verdict === 'refused') {
        if (judged.isGuess) context.onGuess();
        return refuse(attempt, deps.log, context.address, judged.reason);
      }
      if (judged.verdict === 'accepted') this.#admit(judged.identity);
      attempt.accept();
    } catch (error) {
      if (attempt.method === 'password') context.onGuess();
      if (!isAppError(error)) deps.log.error({ err: error }, 'SSH attempt failed');
      refuse(attempt, deps.log, context.address, String(error));
    }
  }

  /** From here on, the end of the identity is the end of the connection. */
  #admit(identity: SshIdentity): void {
    const { apiKeys, sshKeys, now, log } = this.#deps;
    this.#context.onAdmitted(identity);
    this.#identity = identity;
    const end = (reason: AppError) => this.close(reason);
    const watches = [apiKeys.watchEnd(identity.caller, end)];
    if (identity.sshKeyId !== null) watches.push(sshKeys.watchEnd(identity.sshKeyId, end));
    if (identity.machineKey !== null) watches.push(sshKeys.watchMachineKey(identity.machineKey, end));
    const msLeft = identity.expiresAtMs === null ? null : identity.expiresAtMs - now().getTime();
    if (msLeft !== null && msLeft <= timerMsMax) {
      const expired = () => new AppError('unauthenticated', 'the certificate has expired');
      const timer = deadline(msLeft, expired);
      timer.signal.addEventListener('abort', () => end(timer.signal.reason), { once: true });
      watches.push(timer.clear);
    }
    this.#context.socket.once('close', () => {
      for (const stop of watches) stop();
    });
    const { tenant, keyId } = identity.caller;
    const { address } = this.#context;
    log.info(
      { address, tenant, keyId, by: identity.label, machine: this.#login.machine },
      'SSH client admitted',
    );
  }

  #serve(): void {
    this.#client.on('session', (accept, reject) => {
      if (this.#channels.size >= channelsMax) return reject();
      this.#session(accept());
    });
    this.#client.on('tcpip', (accept, reject, info) => {
      this.#forward(accept, reject, info).catch((error: unknown) =>
        this.#deps.log.info({ reason: String(error) }, 'forwarded connection failed'),
      );
    });
    // Without an answer, a client that asks for `-R` would wait.
    this.#client.on('request', (_accept, reject) => reject?.());
  }

  #session(session: Session): void {
    const { commands, sftp, log } = this.#deps;
    const { remoteAddress, remotePort, localAddress, localPort } = this.#context.socket;
    new SshSession(session, {
      commands,
      sftp,
      log,
      enter: (signal) => this.#enter(signal),
      wrap: (channel) => this.#wrap(channel),
      user: this.#login.user,
      isUserOptional: this.#login.isUserOptional,
      env: { SSH_CONNECTION: `${remoteAddress} ${remotePort} ${localAddress} ${localPort}` },
    });
  }

  async #enter(signal: AbortSignal): Promise<Entered> {
    const identity = this.#identity;
    if (identity === null) throw new AppError('internal', 'a session before authentication');
    const machine = await this.#deps.authenticator.machine(identity, this.#login.machine);
    const { tenant } = identity.caller;
    const awake = await this.#deps.waking.ensureAwake({
      tenant,
      machine: machine.id,
      timeoutMs: wakeMs,
      signal,
    });
    return { ...awake, tenant };
  }

  /** Only to the machine itself: the gateway is no way into the host's networks, or to other machines. */
  async #forward(
    accept: () => ServerChannel | undefined,
    reject: () => void,
    info: TcpipRequestInfo,
  ): Promise<void> {
    try {
      if (this.#channels.size >= channelsMax) throw new AppError('exhausted', 'too many channels');
      const entered = await this.#enter(this.#closed.signal);
      try {
        await this.#joined(accept, info, entered);
      } finally {
        entered.release();
      }
    } catch (error) {
      // Nothing, if it was accepted.
      reject();
      throw error;
    }
  }

  async #joined(
    accept: () => ServerChannel | undefined,
    { destIP, destPort }: TcpipRequestInfo,
    { machine, tenant }: Entered,
  ): Promise<void> {
    if (!isMachineItself(destIP, { id: machine.id, name: machine.spec.name })) {
      throw new AppError('forbidden', `'${destIP}' is not this machine`);
    }
    const place = { tenant, machine: machine.id, port: destPort };
    const program = await this.#deps.connections.connect(place, this.#closed.signal);
    program.on('error', () => undefined);
    const channel = accept();
    if (channel === undefined) return void program.destroy();
    await join(this.#wrap(channel), program);
  }

  #wrap(channel: ServerChannel): WireChannel {
    this.#channels.add(channel);
    channel.once('close', () => this.#channels.delete(channel));
    return new WireChannel(channel, this.#context.socket, this.#closed.signal);
  }

  /** ssh2 takes what a client sends beyond its window, and answers a client that reads no answers. */
  #guardBuffers(): void {
    const { socket } = this.#context;
    for (const channel of this.#channels) {
      if (channel.readableLength <= unreadBytesMax) continue;
      this.#deps.log.warn({ address: this.#context.address }, 'SSH client ignores its window');
      socket.destroy();
      return;
    }
    if (socket.writableLength <= unsentBytesMax || socket.isPaused()) return;
    socket.pause();
    socket.once('drain', () => socket.resume());
  }
}
