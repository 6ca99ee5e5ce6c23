/**
 * A guest in this process: implements the guest's end of the link over any carrier, without a VM. For the
 * fake engine and for tests, which may replace how it runs commands.
 */
import { once } from 'node:events';
import type { Duplex } from 'node:stream';
import { AppError } from '../../core/errors.ts';
import type { GuestAnnouncement } from '../../core/ports/guest.ts';
import { encodeLine, parseLine, readLine } from '../lines.ts';
import { preambleAck } from '../preamble.ts';
import { protocolVersion, tokenBytes } from '../protocol.ts';
import { defaultTimings } from '../timings.ts';
import { YamuxSession } from '../yamux/session.ts';
import type { YamuxStream } from '../yamux/stream.ts';
import {
  type FakeExecRequest,
  type FakeProgram,
  FakeSignals,
  parseSpec,
  readSpec,
  runFakeExec,
  runFakeProgram,
} from './fake-exec.ts';

const preambleBytes = 48;

export interface FakeGuestOptions {
  /** Runs commands; default: a few programs (`true`, `false`, `echo`, `cat`, `sleep`, …). */
  readonly program?: FakeProgram;
  /** The incarnation that it reports before it was identified. */
  readonly incarnation?: string;
  /** Replaces everything above the session: what a hostile guest does with a call. */
  readonly serve?: (stream: YamuxStream) => Promise<void>;
  /** Called when the host requested a shutdown and was answered. */
  readonly onShutdown?: (mode: string) => void;
}

/** An honest guest's answer to `hello`. */
export function fakeHello(incarnation: string | null): object {
  return {
    ok: true,
    agent_version: 'fake',
    protocol_version: protocolVersion,
    protocol_version_min: protocolVersion,
    features: ['rekey', 'resync', 'adopt'],
    kernel_release: 'fake',
    incarnation,
  };
}

type Arguments = Readonly<Record<string, unknown>>;

export class FakeGuest {
  readonly #options: FakeGuestOptions;
  #token: Buffer | null = null;
  #carrier: Duplex | null = null;
  #session: YamuxSession | null = null;
  #incarnation: string | null;
  #hostname: string | null = null;
  #machineId: string | null = null;
  #mac: string | null = null;
  /** What it answers to `adopt`. */
  adoptWarnings: readonly string[] = [];
  /** The times received, in milliseconds since 1970. */
  readonly syncs: number[] = [];
  readonly #signals = new Map<string, FakeSignals>();

  constructor(options: FakeGuestOptions = {}) {
    this.#options = options;
    this.#incarnation = options.incarnation ?? null;
  }

  get hostname(): string | null {
    return this.#hostname;
  }

  get machineId(): string | null {
    return this.#machineId;
  }

  /** The hardware address of its interface; null: none was given. */
  get mac(): string | null {
    return this.#mac;
  }

  get incarnation(): string | null {
    return this.#incarnation;
  }

  /**
   * Serves the host at the other end of `carrier`; an earlier host is dropped. Resolves when the host has
   * left.
   */
  async accept(carrier: Duplex): Promise<void> {
    this.cut();
    this.#carrier = carrier;
    carrier.on('error', () => undefined);
    const preamble = await this.#awaitPreamble(carrier);
    if (preamble === null || preamble.length < preambleBytes) return;
    this.#token ??= preamble.subarray(0, tokenBytes);
    if (!preamble.subarray(0, tokenBytes).equals(this.#token)) return;
    carrier.write(Buffer.concat([preambleAck(this.#token), preamble.subarray(tokenBytes, preambleBytes)]));
    const session = new YamuxSession(carrier, preamble.subarray(preambleBytes), {
      ...defaultTimings,
      role: 'server',
      onStream: (stream) => void this.#serve(stream).catch((error: Error) => stream.reset(error)),
    });
    this.#session = session;
    await session.closed;
  }

  /** Drops the host silently, like a lost carrier. */
  cut(): void {
    this.#session?.close(new AppError('guest', 'cut'));
    this.#carrier?.destroy();
    this.#session = null;
    this.#carrier = null;
  }

  /**
   * Sends raw bytes to the host between the session's frames. Resolves, when sent, with whether there is a
   * host.
   */
  async sendRaw(bytes: Uint8Array): Promise<boolean> {
    const carrier = this.#carrier;
    if (carrier === null || carrier.destroyed) return false;
    const { promise, resolve } = Promise.withResolvers<boolean>();
    carrier.write(bytes, (error) => resolve(!error));
    return await promise;
  }

  /** Opens a stream to the host for arbitrary use. Null without a host. */
  open(): YamuxStream | null {
    return this.#session?.open() ?? null;
  }

  /** Announces an event; resolves with whether the host acknowledged it. */
  async announce(event: GuestAnnouncement): Promise<boolean> {
    if (this.#session === null) return false;
    const stream = this.#session.open();
    await stream.write(encodeLine({ call: 'announce', event }));
    const { line } = await readLine(stream);
    stream.close(performance.now());
    return parseLine(line).ok === true;
  }

  async #awaitPreamble(carrier: Duplex): Promise<Buffer | null> {
    const gone = new AbortController();
    carrier.once('close', () => gone.abort()).once('end', () => gone.abort());
    try {
      const [first]: Buffer[] = await once(carrier, 'data', { signal: gone.signal });
      carrier.pause();
      return first ?? null;
    } catch {
      return null;
    }
  }

  async #serve(stream: YamuxStream): Promise<void> {
    if (this.#options.serve) return this.#options.serve(stream);
    const { line, rest } = await readLine(stream);
    const args = parseLine(line);
    if (args.call === 'start') {
      const { spec, received } = await readSpec(stream, rest, Number(args.spec_bytes));
      await stream.write(encodeLine({ ok: true, pid: 2 }));
      const request: FakeExecRequest = {
        ...parseSpec(spec, Number(args.argc)),
        timeoutMs: Number(args.timeout_ms),
        hasStdin: args.has_stdin === true,
      };
      const signals = new FakeSignals();
      this.#signals.set(String(args.command), signals);
      await runFakeExec(stream, received, request, signals, this.#options.program ?? runFakeProgram);
      this.#signals.delete(String(args.command));
    } else await stream.write(encodeLine(this.#answer(args)));
    stream.close(performance.now());
    if (args.call === 'shutdown') await this.#shutDown(String(args.mode));
  }

  async #shutDown(mode: string): Promise<void> {
    if (mode === 'poweroff' || mode === 'reboot' || mode === 'halt') await this.announce(mode);
    this.#options.onShutdown?.(mode);
  }

  #name(args: Arguments): void {
    this.#incarnation = String(args.incarnation);
    this.#hostname = String(args.hostname);
    this.#machineId = String(args.machine_id);
  }

  #sync(args: Arguments): void {
    this.syncs.push(Number(BigInt(String(args.time_ns)) / 1_000_000n));
  }

  #answer(args: Arguments): object {
    switch (args.call) {
      case 'hello':
        return fakeHello(this.#incarnation);
      case 'identity':
        this.#name(args);
        return { ok: true };
      case 'resync':
        this.#sync(args);
        return { ok: true };
      case 'adopt':
        this.#sync(args);
        this.#name(args);
        this.#mac = args.mac === null ? null : String(args.mac);
        return { ok: true, warnings: this.adoptWarnings };
      case 'rekey':
        this.#incarnation = String(args.incarnation);
        this.#token = Buffer.from(String(args.token), 'base64');
        return { ok: true };
      case 'signal': {
        const signals = this.#signals.get(String(args.command));
        signals?.send(String(args.signal));
        return signals ? { ok: true } : { ok: false, code: 'not_found', message: 'no such command' };
      }
      case 'shutdown':
        return { ok: true };
      default:
        return { ok: false, code: 'unsupported', message: 'the fake guest does not know this call' };
    }
  }
}
