/** The world of a golden conversation: the real core, store and server, with fakes that follow the file. */
import { digestOf, makeSecret, prefixOf } from '../../src/core/keys/secret.ts';
import type { EngineDriver } from '../../src/core/ports/engine.ts';
import type {
  ExecEvent,
  ExecOutcome,
  ExecRequest,
  ExecSession,
  GuestLink,
} from '../../src/core/ports/guest.ts';
import type { LoggedEvent } from '../../src/core/ports/guest-logged.ts';
import type { Store } from '../../src/core/ports/store.ts';
import { noLimits } from '../../src/core/quotas/quota.ts';
import { tierLimits } from '../../src/core/quotas/tiers.ts';
import type { FakeLogged } from '../../src/core/testing/fake-logged.ts';
import { missingOptions } from '../../src/engines/qemu/host-facts.ts';
import type { Dialect } from '../../src/http/dialect.ts';
import { Rates } from '../../src/http/rates.ts';
import { shortId } from '../../src/lib/ids.ts';
import { openVerifier } from '../../src/main/admin-key.ts';
import { version } from '../../src/main/version.ts';
import { RhaiEngine } from '../../src/scripts/rhai-engine.ts';
import { type FakeFlotilla, serveFake, startFake, testKey } from '../support/fake.ts';
import type { GivenExecEvent, GivenKey, Turn, World } from './conversation.ts';
import { scriptFaults, toError } from './faults.ts';
import { MachinePlacer } from './machines.ts';
import type { Captures } from './placeholders.ts';
import type { OpenWorld } from './replay.ts';

const tenant = 'default';
const at = '2026-01-01T00:00:00.000Z';

export interface WorldOptions {
  /** Served instead of all dialects. */
  readonly dialects?: readonly Dialect[] | undefined;
}

export async function openWorld(world: World, { dialects }: WorldOptions = {}): Promise<OpenWorld> {
  const { bootTimeoutMs, bodyBytesMax, canPause, machinesMax, memoryMib } = world;
  const scriptEngine = world.hasRhai === false ? null : new RhaiEngine();
  const fake = await startFake({
    // What the real engine says of a host that has none of it.
    capabilities: { missing: missingOptions(() => false) },
    ...(scriptEngine === null ? {} : { scriptEngine }),
    ...(bootTimeoutMs === undefined ? {} : { bootTimeoutMs }),
    ...(memoryMib === undefined ? {} : { memoryMib }),
    ...(canPause === false ? { without: ['pause'] as const } : {}),
  });
  // Its minute never passes.
  const rates = new Rates(() => 0);
  const { server, url } = await serveFake(fake, {
    ...{ rates, version },
    ...(dialects === undefined ? {} : { dialects }),
    ...(bodyBytesMax === undefined ? {} : { bodyBytesMax }),
    ...(world.isAuthOff ? { keys: openVerifier, isHostName: (name: string) => name === '127.0.0.1' } : {}),
  });
  const placer = new MachinePlacer(fake);
  const captures: Captures = new Map([
    ['key', testKey],
    ['version', version],
  ]);
  const turns = [scriptFaults(fake), (next: Turn) => scriptEdges(fake, next)];
  const turn = (next: Turn) => {
    for (const script of turns) script(next);
  };
  const close = async () => {
    turn({ store: null, images: null, disk: null, guest: null, usage: null, isOutrun: false });
    await server.close(0);
    await placer.close(() => fake.close());
    await scriptEngine?.close();
  };
  try {
    for (const machine of world.machines) captures.set(machine.as, await placer.place(machine));
    for (const environment of world.environments)
      captures.set(environment.as, await placer.placeEnvironment(environment));
    for (const key of world.keys) captures.set(key.as, await insertKey(fake.store, key));
    for (const key of world.keys) useUp(rates, key);
    if (machinesMax !== undefined)
      await fake.store.quotas.set({ tenant, limits: { ...noLimits, machines: machinesMax }, updatedAt: at });
    turn(world);
  } catch (error) {
    await close();
    throw error;
  }
  return { url, captures, turn, close };
}

function useUp(rates: Rates, { tier, tenant: own = tenant, isRateUsed = false }: GivenKey): void {
  if (tier === undefined || !isRateUsed) return;
  const limit = tierLimits[tier].requestsPerMinute ?? 0;
  for (let i = 0; i < limit; i += 1) rates.take({ tenant: own, tier });
}

async function insertKey(store: Store, { as, scopes, tenant: own, end, tier }: GivenKey): Promise<string> {
  const secret = makeSecret();
  await store.keys.insert({
    id: shortId(),
    name: as,
    tenant: own ?? tenant,
    prefix: prefixOf(secret),
    hash: digestOf(secret).toString('hex'),
    scopes,
    createdAt: at,
    expiresAt: end === 'expired' ? at : null,
    lastUsedAt: null,
    revokedAt: end === 'revoked' ? at : null,
    createdBy: null,
    tier: tier ?? null,
  });
  return secret;
}

function scriptEdges(
  { driver, disks, guest, edges }: FakeFlotilla,
  { next = {}, freeMib, hasEngine, exec, logged, ready }: Turn,
): void {
  for (const call of ['launch', 'pause', 'resume', 'stop', 'destroy'] as const) {
    const fault = next[call];
    if (fault) driver.failNext(call, toError(fault));
  }
  if (next.prepare) disks.nextFailure = toError(next.prepare);
  if (freeMib !== undefined) disks.free = freeMib;
  const engines = edges.engines as Map<string, EngineDriver>;
  if (hasEngine === false) engines.delete(driver.kind);
  else if (hasEngine) engines.set(driver.kind, driver);
  if (ready !== undefined) guest.onReady = (signal) => untilReady(ready, signal);
  if (logged !== undefined) scriptLogged(guest.logged, logged);
  if (exec === undefined) return;
  guest.commands.program = (command) => {
    if (exec === 'tells') {
      const { id: _, bufferBytes: __, ...request } = command.request;
      command.play([{ type: 'stdout', data: Buffer.from(JSON.stringify(request)) }, exited(0)]);
    } else if (Array.isArray(exec)) command.play(exec.map(toExecEvent));
    else throw toError(exec);
  };
  const link: GuestLink = guest;
  link.exec = async (_, request) => {
    if (exec === 'tells') return session([{ type: 'stdout', data: await told(request) }, exited(0)]);
    if (!Array.isArray(exec)) throw toError(exec);
    return session(exec.map(toExecEvent));
  };
}

function scriptLogged(guest: FakeLogged, given: NonNullable<Turn['logged']>): void {
  guest.onStart = async () => undefined;
  if (!('pid' in given)) {
    guest.onStart = () => Promise.reject(toError(given));
    return;
  }
  const { pid, log, output, end = { exited: 0 }, standing, isFull } = given;
  Object.assign(guest, { pid, logPath: log });
  const said: LoggedEvent[] =
    output === undefined ? [] : [{ type: 'output', data: new TextEncoder().encode(output) }];
  const rest = { log: standing, isFull };
  if ('lost' in end) guest.events = [...said, { type: 'lost', reason: end.lost }];
  else if ('running' in end) guest.events = [...said, { type: 'end', end: { outcome: 'running', ...rest } }];
  else if ('exited' in end)
    guest.events = [...said, { type: 'end', end: { outcome: 'exited', exitCode: end.exited, ...rest } }];
  else
    guest.events = [...said, { type: 'end', end: { outcome: 'signalled', signal: end.signalled, ...rest } }];
  guest.isEndless = 'running' in end;
}

async function untilReady(ready: NonNullable<Turn['ready']>, signal: AbortSignal): Promise<void> {
  if (ready === 'at once') return;
  if (ready !== 'never') throw toError(ready);
  const { promise, reject } = Promise.withResolvers<never>();
  signal.addEventListener('abort', () => reject(signal.reason), { once: true });
  await promise;
}

function session(events: readonly ExecEvent[]): ExecSession {
  return {
    kill: () => undefined,
    async *[Symbol.asyncIterator]() {
      yield* events;
    },
  };
}

async function told({ stdin, ...request }: ExecRequest): Promise<Uint8Array> {
  const chunks: Uint8Array[] = [];
  for await (const chunk of stdin ?? []) chunks.push(chunk);
  const input = stdin === undefined ? {} : { stdin: Buffer.concat(chunks).toString() };
  return new TextEncoder().encode(JSON.stringify({ ...request, ...input }));
}

function toExecEvent(event: GivenExecEvent): ExecEvent {
  const encoder = new TextEncoder();
  if ('stdout' in event) return { type: 'stdout', data: encoder.encode(event.stdout.repeat(event.times)) };
  if ('stderr' in event) return { type: 'stderr', data: encoder.encode(event.stderr) };
  if ('exited' in event) return exited(event.exited);
  if ('signalled' in event) return outcome({ outcome: 'signalled', signal: event.signalled });
  if ('timed_out' in event) return outcome({ outcome: 'timed_out' });
  return outcome({ outcome: 'unknown', reason: event.unknown });
}

function exited(exitCode: number): ExecEvent {
  return outcome({ outcome: 'exited', exitCode });
}

function outcome(ended: ExecOutcome): ExecEvent {
  return { type: 'outcome', outcome: ended };
}
