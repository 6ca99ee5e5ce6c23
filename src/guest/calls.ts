/** Calls of the host: one stream with a JSON line in each direction; part 3 of `protocol.ts`. */
import { randomBytes } from 'node:crypto';
import { z } from 'zod';
import { AppError, isAppError } from '../core/errors.ts';
import type {
  GuestAdoption,
  GuestHello,
  GuestIdentity,
  GuestLeaseReport,
  GuestTarget,
} from '../core/ports/guest.ts';
import type { GuestNetwork } from '../core/ports/network.ts';
import { deadline } from '../lib/abort.ts';
import { cleanWords, encodeLine, parseLine, readLine } from './lines.ts';
import { protocolVersion, protocolVersionMin } from './protocol.ts';
import type { YamuxSession } from './yamux/session.ts';
import type { YamuxStream } from './yamux/stream.ts';

export interface CallOptions {
  /** Aborting resets the call, which rejects with the signal's reason. */
  readonly signal: AbortSignal;
  /** Limit from request to answer; then `timeout`. */
  readonly callMs: number;
}

/** A call that was answered `ok`; its stream is still open. */
export interface AnsweredCall {
  readonly stream: YamuxStream;
  readonly results: Readonly<Record<string, unknown>>;
  /** The bytes after the answer. */
  readonly rest: Buffer;
}

/** The signal's reason as an AppError: unchanged if it is one, otherwise `timeout`. */
export function abortError(signal: AbortSignal, doing: string): AppError {
  if (isAppError(signal.reason)) return signal.reason;
  return new AppError('timeout', `${doing} was cancelled`, { cause: signal.reason });
}

/**
 * Opens a call and waits for its answer. `request` is the line and the bytes that follow it at once. Raises
 * the protocol's codes.
 */
export async function openCall(
  session: YamuxSession,
  name: string,
  request: Buffer,
  options: CallOptions,
): Promise<AnsweredCall> {
  if (options.signal.aborted) throw abortError(options.signal, name);
  const stream = session.open();
  const limit = deadline(
    options.callMs,
    () => new AppError('timeout', `the guest did not answer ${name} within ${options.callMs} ms`),
    options.signal,
  );
  const onAbort = () => stream.reset(abortError(limit.signal, name));
  limit.signal.addEventListener('abort', onAbort, { once: true });
  try {
    // A failed write also fails the read.
    stream.write(request).catch(() => undefined);
    const { line, rest } = await readLine(stream);
    return { stream, results: parseAnswer(name, line), rest };
  } catch (error) {
    stream.reset(new AppError('guest', `${name} failed`, { cause: error }));
    throw error;
  } finally {
    limit.signal.removeEventListener('abort', onAbort);
    limit.clear();
  }
}

/** Makes a call that consists only of request and answer. */
export async function simpleCall(
  session: YamuxSession,
  name: string,
  args: object,
  options: CallOptions,
): Promise<Readonly<Record<string, unknown>>> {
  const { stream, results } = await openCall(session, name, encodeLine({ call: name, ...args }), options);
  stream.close(performance.now());
  return results;
}

/** Refusals caused by the request; other codes are failures of the guest. */
const callerCodes = ['invalid', 'not_found', 'conflict', 'exhausted'] as const;

/** The results of an answer, or of the last frame of a call about files. Raises the protocol's codes. */
export function parseAnswer(name: string, line: Buffer): Readonly<Record<string, unknown>> {
  const answer = parseLine(line);
  if (answer.ok === true) return answer;
  if (answer.ok !== false) throw new AppError('guest', `the guest's answer to ${name} is malformed`);
  const words = cleanWords(answer.message) || 'no reason given';
  const code = callerCodes.find((known) => known === answer.code);
  const exitCode = z.int().min(0).max(255).safeParse(answer.exit_code).data;
  if (code !== undefined)
    throw new AppError(code, words, {
      ...hintFor(words),
      ...(exitCode === undefined ? {} : { details: { exitCode } }),
    });
  if (answer.code === 'unsupported') throw new AppError('guest', `the guest agent cannot ${name}: ${words}`);
  // The first call: the guest answers why it cannot start.
  if (name === 'hello') throw new AppError('guest', `the guest cannot start: ${words}`);
  throw new AppError('guest', `the guest agent failed to ${name}: ${words}`);
}

/** What to do about a refusal that names something of the guest. */
function hintFor(words: string): { readonly hint?: string } {
  if (/^no such (user|group)/.test(words))
    return { hint: 'Name one of the guest’s /etc/passwd or /etc/group, or a number.' };
  return /^no such directory/.test(words) ? { hint: 'Make it in the guest first, or name another one.' } : {};
}

const helloSchema = z.object({
  agent_version: z.string().max(256),
  protocol_version: z.int().min(0),
  /** Absent before protocol 2. */
  protocol_version_min: z.int().min(0).optional(),
  features: z.array(z.string().max(64)).max(64).optional(),
  kernel_release: z.string().max(256),
  incarnation: z.string().max(256).nullable(),
});

/** Also raises `guest` when agent and daemon have no protocol version in common. */
export async function callHello(session: YamuxSession, options: CallOptions): Promise<GuestHello> {
  const parsed = helloSchema.safeParse(await simpleCall(session, 'hello', {}, options));
  if (!parsed.success) throw new AppError('guest', "the guest's answer to hello is malformed");
  const hello = parsed.data;
  const oldest = Math.max(protocolVersionMin, hello.protocol_version_min ?? hello.protocol_version);
  const agreed = Math.min(protocolVersion, hello.protocol_version);
  if (agreed < oldest) {
    const theirs = range(hello.protocol_version_min ?? hello.protocol_version, hello.protocol_version);
    throw new AppError(
      'guest',
      `the guest agent speaks ${theirs} of the protocol, this daemon ${range(protocolVersionMin, protocolVersion)}`,
    );
  }
  return {
    agentVersion: cleanWords(hello.agent_version),
    protocolVersion: agreed,
    features: hello.features ?? [],
    kernelRelease: cleanWords(hello.kernel_release),
    incarnation: hello.incarnation,
  };
}

function range(oldest: number, newest: number): string {
  return oldest === newest ? `version ${newest}` : `versions ${oldest} to ${newest}`;
}

/** Clock and entropy, which a paused guest cannot keep. `nowMs` is in milliseconds since 1970. */
function syncArguments(nowMs: number, entropy: Buffer = randomBytes(64)) {
  return {
    time_ns: String(BigInt(Math.round(nowMs * 1000)) * 1000n),
    entropy: entropy.toString('base64'),
  };
}

function identityArguments(incarnation: string, { hostname, machineId }: GuestIdentity) {
  return { incarnation, hostname, machine_id: machineId };
}

/** Protocol 1: identity, clock and entropy in one call. */
export async function callIdentify(
  session: YamuxSession,
  incarnation: string,
  identity: GuestIdentity,
  nowMs: number,
  options: CallOptions,
): Promise<void> {
  const args = { ...identityArguments(incarnation, identity), ...syncArguments(nowMs) };
  await simpleCall(session, 'identify', args, options);
}

export async function callIdentity(
  session: YamuxSession,
  incarnation: string,
  identity: GuestIdentity,
  options: CallOptions,
): Promise<void> {
  await simpleCall(session, 'identity', identityArguments(incarnation, identity), options);
}

export async function callResync(session: YamuxSession, nowMs: number, options: CallOptions): Promise<void> {
  await simpleCall(session, 'resync', syncArguments(nowMs), options);
}

/** Arguments of `adopt`. `nowMs` is in milliseconds since 1970; `entropy` is 64 bytes that no other guest gets. */
export function adoptArguments(
  { incarnation, machineId: instance }: Pick<GuestTarget, 'incarnation' | 'machineId'>,
  { mac, ...identity }: GuestAdoption,
  nowMs: number,
  entropy?: Buffer,
): object {
  return { ...identityArguments(incarnation, identity), instance, mac, ...syncArguments(nowMs, entropy) };
}

/** Warnings shown of one adoption; the agent has fewer. */
const warningsMax = 32;
const adoptSchema = z.object({ warnings: z.array(z.string()) });

/** What an answer to `adopt` says that the guest could not change. */
export function adoptWarnings(results: Readonly<Record<string, unknown>>): readonly string[] {
  const parsed = adoptSchema.safeParse(results);
  if (!parsed.success) throw new AppError('guest', "the guest's answer to adopt is malformed");
  return parsed.data.warnings.slice(0, warningsMax).map(cleanWords);
}

export async function callAdopt(
  session: YamuxSession,
  target: GuestTarget,
  adoption: GuestAdoption,
  nowMs: number,
  options: CallOptions,
): Promise<readonly string[]> {
  return adoptWarnings(await simpleCall(session, 'adopt', adoptArguments(target, adoption, nowMs), options));
}

export async function callNetwork(
  session: YamuxSession,
  { searchDomains, ...network }: GuestNetwork,
  options: CallOptions,
): Promise<void> {
  await simpleCall(session, 'network', { ...network, search_domains: searchDomains }, options);
}

export async function callSshKeys(
  session: YamuxSession,
  keys: readonly string[],
  options: CallOptions,
): Promise<void> {
  await simpleCall(session, 'ssh_keys', { keys }, options);
}

const leaseSchema = z.object({
  change: z.int().min(0),
  lease: z
    .object({
      address: z.ipv4(),
      prefix: z.int().min(1).max(32),
      gateway: z.ipv4().nullable(),
      resolvers: z.array(z.ipv4()).max(3),
      left_ms: z
        .number()
        .min(0)
        .max(2 ** 42),
    })
    .nullable(),
  problem: z.string().nullable(),
});

/** The guest answers within `waitMs`. */
export async function callLease(
  session: YamuxSession,
  known: number,
  waitMs: number,
  { signal, callMs }: CallOptions,
): Promise<GuestLeaseReport> {
  const options = { signal, callMs: waitMs + callMs };
  const parsed = leaseSchema.safeParse(
    await simpleCall(session, 'lease', { known, timeout_ms: waitMs }, options),
  );
  if (!parsed.success) throw new AppError('guest', "the guest's answer to lease is malformed");
  const { change, lease, problem } = parsed.data;
  const words = problem === null ? null : cleanWords(problem);
  if (lease === null) return { change, lease, problem: words };
  const { left_ms: leftMs, ...rest } = lease;
  return { change, lease: { ...rest, leftMs }, problem: words };
}

export async function callRekey(
  session: YamuxSession,
  incarnation: string,
  token: Uint8Array,
  options: CallOptions,
): Promise<void> {
  await simpleCall(session, 'rekey', { incarnation, token: Buffer.from(token).toString('base64') }, options);
}

/** Its form is the same in every version, so that any guest can be shut down. */
export async function callShutdown(
  session: YamuxSession,
  mode: 'poweroff' | 'reboot' | 'halt',
  graceMs: number,
  options: CallOptions,
): Promise<void> {
  await simpleCall(session, 'shutdown', { mode, grace_ms: graceMs }, options);
}
