/** The world of a golden conversation: the real core, store and server, with fakes that follow the file. */
import { type FakeFlotilla, serveFake, startFake, testKey } from '../../../../../../test/support/fake.ts';
import { AppError } from '../../../../../core/errors.ts';
import { digestOf, makeSecret, prefixOf } from '../../../../../core/keys/secret.ts';
import type {
  ExecEvent,
  ExecOutcome,
  ExecRequest,
  ExecSession,
  GuestLink,
} from '../../../../../core/ports/guest.ts';
import type { Repositories, Store } from '../../../../../core/ports/store.ts';
import { shortId } from '../../../../../lib/ids.ts';
import { openVerifier } from '../../../../../main/admin-key.ts';
import type { Fault, GivenExecEvent, GivenKey, Turn, World } from './conversation.ts';
import { MachinePlacer } from './machines.ts';
import type { Captures } from './placeholders.ts';

export interface OpenWorld {
  readonly url: string;
  /** Initially holds the keys and the given machines. */
  readonly captures: Captures;
  turn(turn: Turn): void;
  close(): Promise<void>;
}

export async function openWorld(world: World): Promise<OpenWorld> {
  const { bootTimeoutMs, bodyBytesMax, canPause } = world;
  const fake = await startFake({
    ...(bootTimeoutMs === undefined ? {} : { bootTimeoutMs }),
    ...(canPause === false ? { without: ['pause'] as const } : {}),
  });
  const { server, url } = await serveFake(fake, {
    ...(bodyBytesMax === undefined ? {} : { bodyBytesMax }),
    ...(world.isAuthOff ? { keys: openVerifier, isHostName: (name: string) => name === '127.0.0.1' } : {}),
  });
  const placer = new MachinePlacer(fake);
  const captures: Captures = new Map([['key', testKey]]);
  const storeTurn = scriptStore(fake.store);
  const turn = (next: Turn) => {
    storeTurn(next);
    scriptEdges(fake, next);
  };
  const close = async () => {
    storeTurn({ store: null, isOutrun: false });
    await server.close(0);
    await placer.close(() => fake.close());
  };
  try {
    for (const machine of world.machines) captures.set(machine.as, await placer.place(machine));
    for (const key of world.keys) captures.set(key.as, await insertKey(fake.store, key));
    turn(world);
  } catch (error) {
    await close();
    throw error;
  }
  return { url, captures, turn, close };
}

async function insertKey(store: Store, { as, scopes, tenant, end }: GivenKey): Promise<string> {
  const secret = makeSecret();
  const at = '2026-01-01T00:00:00.000Z';
  await store.keys.insert({
    id: shortId(),
    name: as,
    tenant: tenant ?? 'default',
    prefix: prefixOf(secret),
    hash: digestOf(secret).toString('hex'),
    scopes,
    createdAt: at,
    expiresAt: end === 'expired' ? at : null,
    lastUsedAt: null,
    revokedAt: end === 'revoked' ? at : null,
    createdBy: null,
  });
  return secret;
}

/** Lets turns make the store fail; its data stays real. */
function scriptStore(store: Store): (turn: Turn) => void {
  let fault: Fault | null = null;
  let isOutrun = false;
  const { find, get, list } = store.machines;
  const { transaction } = store;
  const orFault = <Args extends readonly unknown[], Result>(real: (...args: Args) => Promise<Result>) => {
    return async (...args: Args) => {
      if (fault) throw toError(fault);
      return real(...args);
    };
  };
  store.machines.find = orFault(find.bind(store.machines));
  store.machines.get = orFault(get.bind(store.machines));
  store.machines.list = orFault(list.bind(store.machines));
  store.transaction = async <T>(work: (tx: Repositories) => Promise<T>): Promise<T> => {
    if (fault) throw toError(fault);
    return transaction.call(store, (tx) => work(isOutrun ? outrun(tx) : tx)) as Promise<T>;
  };
  return (turn) => {
    if (turn.store !== undefined) fault = turn.store;
    isOutrun = turn.isOutrun ?? isOutrun;
  };
}

function outrun(tx: Repositories): Repositories {
  return { ...tx, machines: { ...bound(tx.machines), compareAndSet: async () => false } };
}

function bound(machines: Repositories['machines']): Repositories['machines'] {
  return {
    insert: (machine) => machines.insert(machine),
    get: (id) => machines.get(id),
    find: (tenant, idOrName) => machines.find(tenant, idOrName),
    list: (filter) => machines.list(filter),
    damaged: (hostId) => machines.damaged(hostId),
    all: (hostId) => machines.all(hostId),
    due: (hostId, at, limit) => machines.due(hostId, at, limit),
    memoryMib: (query) => machines.memoryMib(query),
    countOnImage: (hostId, digest) => machines.countOnImage(hostId, digest),
    compareAndSet: (change) => machines.compareAndSet(change),
    patch: (id, incarnation, details, at) => machines.patch(id, incarnation, details, at),
    remove: (id, at) => machines.remove(id, at),
  };
}

function scriptEdges(
  { driver, disks, guest }: FakeFlotilla,
  { next = {}, freeMib, exec, ready }: Turn,
): void {
  for (const call of ['launch', 'pause', 'resume', 'stop', 'destroy'] as const) {
    const fault = next[call];
    if (fault) driver.failNext(call, toError(fault));
  }
  if (next.prepare) disks.nextFailure = toError(next.prepare);
  if (freeMib !== undefined) disks.free = freeMib;
  if (ready !== undefined) guest.onReady = (signal) => untilReady(ready, signal);
  if (exec === undefined) return;
  const link: GuestLink = guest;
  link.exec = async (_, request) => {
    if (exec === 'tells') return session([{ type: 'stdout', data: await told(request) }, exited(0)]);
    if (!Array.isArray(exec)) throw toError(exec);
    return session(exec.map(toExecEvent));
  };
}

async function untilReady(ready: NonNullable<Turn['ready']>, signal: AbortSignal): Promise<void> {
  if (ready === 'at once') return;
  if (ready !== 'never') throw toError(ready);
  const { promise, reject } = Promise.withResolvers<never>();
  signal.addEventListener('abort', () => reject(signal.reason), { once: true });
  await promise;
}

function toError({ code, message, hint }: Fault): Error {
  if (code === 'defect') return new Error(message);
  return new AppError(code, message, hint === undefined ? {} : { hint });
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
  if ('stdout' in event) return { type: 'stdout', data: encoder.encode(event.stdout) };
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
