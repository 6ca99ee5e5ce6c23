/**
 * GuestClient implements core's guest ports: it keeps one link per incarnation and carries calls over it.
 * Knows neither engines nor machine states; the guest's address comes with each call.
 */
import type { Duplex } from 'node:stream';
import { AppError, isAppError } from '../core/errors.ts';
import type { GuestAddress } from '../core/ports/engine.ts';
import type {
  ExecRequest,
  ExecSession,
  GuestAdoption,
  GuestAnnouncement,
  GuestHello,
  GuestIdentity,
  GuestLeaseReport,
  GuestLink,
  GuestLinkState,
  GuestTarget,
} from '../core/ports/guest.ts';
import type { GuestCommands } from '../core/ports/guest-commands.ts';
import type { GuestConnections } from '../core/ports/guest-connections.ts';
import type { GuestFiles } from '../core/ports/guest-files.ts';
import type { GuestLogged } from '../core/ports/guest-logged.ts';
import type { GuestProvisioning, ProvisioningOutcome } from '../core/ports/guest-provisioning.ts';
import type { GuestNetwork } from '../core/ports/network.ts';
import type { UserData } from '../core/user-data/user-data.ts';
import { deadline } from '../lib/abort.ts';
import { LimitedLogs } from '../lib/limited-log.ts';
import { type Logger, silentLog } from '../lib/log.ts';
import type { AgentSession } from './agent-session.ts';
import {
  abortError,
  type CallOptions,
  callAdopt,
  callIdentify,
  callIdentity,
  callLease,
  callNetwork,
  callRekey,
  callResync,
  callShutdown,
  callSshKeys,
} from './calls.ts';
import { CommandClient } from './commands.ts';
import { ConnectionClient } from './connections.ts';
import { startExec } from './exec.ts';
import { checkProgram } from './exec-request.ts';
import { FileClient } from './files.ts';
import { IncarnationLink } from './link.ts';
import { LoggedClient } from './logged.ts';
import { incarnationToken } from './preamble.ts';
import { callProvision } from './provision.ts';
import { defaultTimings, type GuestTimings } from './timings.ts';
import type { Transports } from './transports/transport.ts';

export interface GuestClientOptions {
  /** 32 bytes from which every incarnation's token is derived. Whoever has it can talk to every guest. */
  readonly secret: Uint8Array;
  readonly transports: Transports;
  readonly log?: Logger;
  /** Milliseconds since 1970, for the guests' clocks. */
  readonly now?: () => number;
  readonly timings?: Partial<GuestTimings>;
}

const secretBytes = 32;
/** Allowed lag of a guest's clock after setting it, and how many attempts are made. */
const clockSlackMs = 500;
const identifyAttemptsMax = 5;

export class GuestClient implements GuestLink, GuestProvisioning {
  readonly #secret: Uint8Array;
  readonly #transports: Transports;
  readonly #logs: LimitedLogs;
  readonly #now: () => number;
  readonly #timings: GuestTimings;
  readonly #links = new Map<string, IncarnationLink>();
  /** Commands that outlive the link and this daemon. */
  readonly commands: GuestCommands;
  readonly files: GuestFiles;
  readonly connections: GuestConnections;
  readonly logged: GuestLogged;
  readonly #closing = new AbortController();

  constructor(options: GuestClientOptions) {
    if (options.secret.length !== secretBytes)
      throw new AppError('internal', `the link secret must be ${secretBytes} bytes`);
    this.#secret = options.secret;
    this.#transports = options.transports;
    this.#logs = new LimitedLogs(options.log ?? silentLog);
    this.#now = options.now ?? Date.now;
    this.#timings = { ...defaultTimings, ...options.timings };
    this.commands = new CommandClient({
      session: (target, signal) => this.#session(target, signal),
      callMs: this.#timings.callMs,
    });
    this.logged = new LoggedClient({
      session: (target, signal) => this.#session(target, signal),
      callMs: this.#timings.callMs,
      letGoMs: this.#timings.callMs,
    });
    this.connections = new ConnectionClient({
      session: (target, signal) => this.#session(target, signal),
      callMs: this.#timings.callMs,
    });
    this.files = new FileClient({
      session: (target, signal) => this.#session(target, signal),
      callMs: this.#timings.callMs,
      idleMs: this.#timings.fileIdleMs,
    });
  }

  async waitReady(target: GuestTarget, signal: AbortSignal): Promise<GuestHello> {
    const link = this.#link(target);
    for (;;) {
      const session = await link.session(signal);
      try {
        const hello = await session.greet(this.#callOptions(signal));
        checkIncarnation(hello, target);
        return hello;
      } catch (error) {
        if (signal.aborted) throw abortError(signal, 'waiting for the guest');
        // Retry where it may help: on the next session, or when the guest was only slow.
        if (session.isOpen && !isAppError(error, 'timeout')) throw error;
      }
    }
  }

  async identify(target: GuestTarget, identity: GuestIdentity, signal: AbortSignal): Promise<void> {
    const session = await this.#session(target, signal);
    const options = this.#callOptions(signal);
    if ((await session.hello(options)).protocolVersion > 1)
      await callIdentity(session.yamux, target.incarnation, identity, options);
    await this.resync(target, identity, signal);
  }

  async resync(target: GuestTarget, identity: GuestIdentity, signal: AbortSignal): Promise<void> {
    const session = await this.#session(target, signal);
    const options = this.#callOptions(signal);
    const { protocolVersion } = await session.hello(options);
    for (let attempt = 1; attempt <= identifyAttemptsMax; attempt++) {
      const sentAt = performance.now();
      if (protocolVersion > 1) await callResync(session.yamux, this.#now(), options);
      else await callIdentify(session.yamux, target.incarnation, identity, this.#now(), options);
      // The time sent is outdated by the call's duration, which may be seconds on a busy host.
      if (performance.now() - sentAt <= clockSlackMs) return;
    }
    this.#logs
      .of(target.incarnation)
      .warn(
        { incarnation: target.incarnation },
        'guest clock set inaccurately: the guest answers too slowly',
      );
  }

  async adopt(target: GuestTarget, adoption: GuestAdoption, signal: AbortSignal): Promise<readonly string[]> {
    const session = await this.#session(target, signal);
    const { features, agentVersion } = await session.hello(this.#callOptions(signal));
    if (!features.includes('adopt'))
      throw new AppError(
        'unsupported',
        `the guest agent (${agentVersion}) cannot make a copy of its guest another machine`,
        {
          hint: 'Restart the machine that it is a copy of, which gives it the current agent, and copy it again.',
        },
      );
    const options = { signal, callMs: this.#timings.adoptMs };
    const warnings = await callAdopt(session.yamux, target, adoption, this.#now(), options);
    // The call may have taken seconds, which says nothing about when the guest has set its clock.
    await this.resync(target, adoption, signal);
    return warnings;
  }

  async configureNetwork(
    target: GuestTarget,
    network: GuestNetwork,
    signal: AbortSignal,
  ): Promise<string | null> {
    const session = await this.#session(target, signal);
    const options = this.#callOptions(signal);
    const { features, agentVersion } = await session.hello(options);
    if (!features.includes('network'))
      return `the guest agent (${agentVersion}) is too old to set up a network; import the image again`;
    if (network.dhcp === true && !features.includes('dhcp'))
      return `the guest agent (${agentVersion}) is too old for DHCP; import the image again, or give the machine a fixed address`;
    try {
      await callNetwork(session.yamux, network, options);
      return null;
    } catch (error) {
      if (!isAppError(error, 'not_found')) throw error;
      return 'the guest has no network interface; its kernel needs the module virtio_net';
    }
  }

  async dhcpLease(
    target: GuestTarget,
    known: number,
    waitMs: number,
    signal: AbortSignal,
  ): Promise<GuestLeaseReport> {
    const session = await this.#session(target, signal);
    return callLease(session.yamux, known, waitMs, this.#callOptions(signal));
  }

  async exec(target: GuestTarget, request: ExecRequest, signal: AbortSignal): Promise<ExecSession> {
    // Checked first, so that an invalid request is refused whatever the link's state.
    checkProgram(request);
    const session = await this.#session(target, signal);
    const { protocolVersion } = await session.hello(this.#callOptions(signal));
    return startExec(session.yamux, protocolVersion, request, signal, this.#timings);
  }

  async rekey(target: GuestTarget, previous: string, signal: AbortSignal): Promise<void> {
    // Of an earlier call that was carried out; it has one token only.
    await this.release(target.incarnation);
    // A copy accepts the old token, or the new one if an earlier call was carried out.
    const tokens = [previous, target.incarnation].map((name) => incarnationToken(this.#secret, name));
    const link = this.#makeLink(target, tokens);
    try {
      const session = await link.session(signal);
      if (session.tokenIndex !== 0) return;
      const options = this.#callOptions(signal);
      const { features, agentVersion } = await session.hello(options);
      if (!features.includes('rekey'))
        throw new AppError('unsupported', `the guest agent (${agentVersion}) cannot be given another token`);
      await callRekey(session.yamux, target.incarnation, tokens[1] ?? Buffer.alloc(0), options);
    } finally {
      await link.release();
    }
  }

  async provision(
    target: GuestTarget,
    userData: UserData,
    signal: AbortSignal,
  ): Promise<ProvisioningOutcome> {
    const session = await this.#session(target, signal);
    const options = { ...this.#callOptions(signal), provisionMs: this.#timings.provisionMs };
    const { features, agentVersion } = await session.hello(options);
    if (!features.includes('user_data'))
      throw new AppError('unsupported', `the guest agent (${agentVersion}) carries out no user data`, {
        hint: 'Import its image again: a kernel of its own keeps the agent of the day of the import',
      });
    return await callProvision(session.yamux, target.machineId, userData, options);
  }

  async setSshKeys(target: GuestTarget, keys: readonly string[], signal: AbortSignal): Promise<boolean> {
    const session = await this.#session(target, signal);
    const options = this.#callOptions(signal);
    if (!(await session.hello(options)).features.includes('ssh_keys')) return false;
    await callSshKeys(session.yamux, keys, options);
    return true;
  }

  async shutdown(target: GuestTarget, graceMs: number, signal: AbortSignal): Promise<void> {
    const session = await this.#session(target, signal);
    try {
      await callShutdown(session.yamux, 'poweroff', graceMs, this.#callOptions(signal));
    } catch (error) {
      // The guest may be gone before its answer arrives; its announcement counts as the answer.
      if (signal.aborted || this.announcement(target.incarnation) !== 'poweroff') throw error;
    }
  }

  linkState(incarnation: string): GuestLinkState | null {
    return this.#links.get(incarnation)?.state ?? null;
  }

  announcement(incarnation: string): GuestAnnouncement | null {
    return this.#links.get(incarnation)?.announcement ?? null;
  }

  setQuiet(incarnation: string, isQuiet: boolean): void {
    this.#links.get(incarnation)?.setQuiet(isQuiet);
  }

  /** Also forgets the incarnation's announcement. */
  async release(incarnation: string): Promise<void> {
    const link = this.#links.get(incarnation);
    this.#links.delete(incarnation);
    await link?.release();
  }

  async close(): Promise<void> {
    this.#closing.abort(new AppError('guest', 'the guest links are closed'));
    await Promise.all([...this.#links.keys()].map((incarnation) => this.release(incarnation)));
  }

  /** The session of a link that is up, or comes up within `linkWaitMs`. */
  async #session(target: GuestTarget, signal: AbortSignal): Promise<AgentSession> {
    const link = this.#link(target);
    const { linkWaitMs } = this.#timings;
    const late = () => {
      const why = link.lastFailure === null ? '' : `: ${link.lastFailure}`;
      return new AppError('timeout', `the guest link was not up within ${linkWaitMs} ms${why}`);
    };
    const limit = deadline(linkWaitMs, late, signal);
    try {
      return await link.session(limit.signal);
    } finally {
      limit.clear();
    }
  }

  #link(target: GuestTarget): IncarnationLink {
    if (this.#closing.signal.aborted) throw new AppError('guest', 'the guest links are closed');
    const { incarnation } = target;
    const known = this.#links.get(incarnation);
    if (known !== undefined) return known;
    const link = this.#makeLink(target, [incarnationToken(this.#secret, incarnation)]);
    this.#links.set(incarnation, link);
    return link;
  }

  #makeLink({ incarnation, address }: GuestTarget, tokens: readonly Uint8Array[]): IncarnationLink {
    return new IncarnationLink({
      dial: this.#dialer(address),
      tokens,
      timings: this.#timings,
      log: this.#logs.of(incarnation),
      now: this.#now,
      incarnation,
      onInterval: (agent) => void this.#keepTime(incarnation, agent),
    });
  }

  /** Never rejects; an agent without resync keeps its own time. */
  async #keepTime(incarnation: string, agent: AgentSession): Promise<void> {
    const options = this.#callOptions(this.#closing.signal);
    try {
      if ((await agent.hello(options)).features.includes('resync'))
        await callResync(agent.yamux, this.#now(), options);
    } catch (error) {
      this.#logs.of(incarnation).info({ incarnation, reason: String(error) }, 'guest clock not set');
    }
  }

  #dialer(address: GuestAddress): (signal: AbortSignal) => Promise<Duplex> {
    const { 'virtio-serial': virtioSerial, unix, memory } = this.#transports;
    if (address.transport === 'virtio-serial' && virtioSerial)
      return (signal) => virtioSerial(address, signal);
    if (address.transport === 'unix' && unix) return (signal) => unix(address, signal);
    if (address.transport === 'memory' && memory) return (signal) => memory(address, signal);
    throw new AppError('invalid', `this daemon has no ${address.transport} transport`);
  }

  #callOptions(signal: AbortSignal): CallOptions {
    return { signal, callMs: this.#timings.callMs };
  }
}

function checkIncarnation(hello: GuestHello, target: GuestTarget): void {
  if (hello.incarnation !== null && hello.incarnation !== target.incarnation)
    throw new AppError('guest', 'the guest says it is another incarnation');
}
