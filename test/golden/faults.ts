/** Makes the ports of a fake fail, as the turns of a golden conversation say. */
import { AppError } from '../../src/core/errors.ts';
import type { Repositories, Store } from '../../src/core/ports/store.ts';
import type { FakeFlotilla } from '../support/fake.ts';
import type { Fault, Turn } from './conversation.ts';

/** Lets turns make the store, the image library, the disk and the meter fail; what they have stays real. */
export function scriptFaults(fake: FakeFlotilla): (turn: Turn) => void {
  const turns = [scriptStore(fake.store), scriptImages(fake), scriptLooks(fake), scriptGuest(fake)];
  return (turn) => {
    for (const script of turns) script(turn);
  };
}

function scriptStore(store: Store): (turn: Turn) => void {
  let fault: Fault | null = null;
  let isOutrun = false;
  const { transaction } = store;
  for (const repository of Object.values(store)) {
    if (typeof repository === 'object') failOn(repository, () => fault);
  }
  store.transaction = async <T>(work: (tx: Repositories) => Promise<T>): Promise<T> => {
    if (fault) throw toError(fault);
    return transaction.call(store, (tx) => work(isOutrun ? outrun(tx) : tx)) as Promise<T>;
  };
  return (turn) => {
    if (turn.store !== undefined) fault = turn.store;
    isOutrun = turn.isOutrun ?? isOutrun;
  };
}

function scriptImages({ images }: FakeFlotilla): (turn: Turn) => void {
  let fault: Fault | null = null;
  failOn(images, () => fault);
  return ({ images: next, next: { import: once } = {} }) => {
    if (next !== undefined) fault = next;
    if (once) images.onImport = () => Promise.reject(toError(once));
  };
}

function scriptLooks({ disks, driver }: FakeFlotilla): (turn: Turn) => void {
  let disk: Fault | null = null;
  let usage: Fault | null = null;
  failOn(disks, () => disk, ['freeMib']);
  failOn(driver.meter, () => usage);
  return (turn) => {
    if (turn.disk !== undefined) disk = turn.disk;
    if (turn.usage !== undefined) usage = turn.usage;
  };
}

function scriptGuest({ guest }: FakeFlotilla): (turn: Turn) => void {
  let fault: Fault | null = null;
  failOn(guest.commands, () => fault, [
    'start',
    'attach',
    'wait',
    'feed',
    'signal',
    'resize',
    'list',
    'forget',
  ]);
  failOn(guest.files, () => fault);
  return ({ guest: next }) => {
    if (next !== undefined) fault = next;
  };
}

/** Every asynchronous call of the object raises the current fault, if there is one. */
function failOn(object: object, fault: () => Fault | null, names = methodsOf(object)): void {
  const calls = object as Record<string, unknown>;
  for (const name of names) {
    const real = calls[name];
    if (typeof real !== 'function') continue;
    calls[name] = (...args: readonly unknown[]) => {
      const current = fault();
      return current === null ? real.apply(object, args) : Promise.reject(toError(current));
    };
  }
}

/** Own ones, and those of a class. */
function methodsOf(object: object): readonly string[] {
  const prototype: object | null = Object.getPrototypeOf(object);
  const inherited =
    prototype === null || prototype === Object.prototype ? [] : Object.getOwnPropertyNames(prototype);
  return [...new Set([...Object.keys(object), ...inherited])].filter((name) => name !== 'constructor');
}

function outrun(tx: Repositories): Repositories {
  return { ...tx, machines: { ...bound(tx.machines), compareAndSet: async () => false } };
}

function bound(machines: Repositories['machines']): Repositories['machines'] {
  return {
    insert: (machine) => machines.insert(machine),
    get: (id) => machines.get(id),
    find: (tenant, idOrName) => machines.find(tenant, idOrName),
    withSshKey: (fingerprint, login, limit) => machines.withSshKey(fingerprint, login, limit),
    list: (filter) => machines.list(filter),
    damaged: (hostId) => machines.damaged(hostId),
    all: (hostId) => machines.all(hostId),
    due: (hostId, at, limit) => machines.due(hostId, at, limit),
    idle: (hostId, at, limit) => machines.idle(hostId, at, limit),
    noteIdleAt: (id, incarnation, idleAt) => machines.noteIdleAt(id, incarnation, idleAt),
    inEnvironment: (key) => machines.inEnvironment(key),
    countInEnvironment: (key) => machines.countInEnvironment(key),
    memoryMib: (query) => machines.memoryMib(query),
    usage: (tenant) => machines.usage(tenant),
    countOnImage: (hostId, digest) => machines.countOnImage(hostId, digest),
    compareAndSet: (change) => machines.compareAndSet(change),
    patch: (id, incarnation, details, at) => machines.patch(id, incarnation, details, at),
    remove: (id, at) => machines.remove(id, at),
  };
}

export function toError({ code, message, hint }: Fault): Error {
  if (code === 'defect') return new Error(message);
  if (code === 'late') return new DOMException(message, 'TimeoutError');
  return new AppError(code, message, hint === undefined ? {} : { hint });
}
