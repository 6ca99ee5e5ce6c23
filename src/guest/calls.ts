/** Calls of the host: one stream with a JSON line in each direction; part 3 of `protocol.ts`. */
import { randomBytes } from 'node:crypto';
import { z } from 'zod';
import { AppError, isAppError } from '../core/errors.ts';
import type { GuestHello, GuestIdentity } from '../core/ports/guest.ts';
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

function parseAnswer(name: string, line: Buffer): Readonly<Record<string, unknown>> {
  const answer = parseLine(line);
  if (answer.ok === true) return answer;
  if (answer.ok !== false) throw new AppError('guest', `the guest's answer to ${name} is malformed`);
  const words = cleanWords(answer.message) || 'no reason given';
  const code = callerCodes.find((known) => known === answer.code);
  if (code !== undefined) throw new AppError(code, words);
  if (answer.code === 'unsupported') throw new AppError('guest', `the guest agent cannot ${name}: ${words}`);
  throw new AppError('guest', `${name} failed in the guest: ${words}`);
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
function syncArguments(nowMs: number) {
  return {
    time_ns: String(BigInt(Math.round(nowMs * 1000)) * 1000n),
    entropy: randomBytes(64).toString('base64'),
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
