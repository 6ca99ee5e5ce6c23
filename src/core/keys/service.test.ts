/** Tests of the key service on the real store, with a fixed clock. */
import { afterAll, afterEach, beforeEach, describe, expect, test } from 'vitest';
import { DatabasePool } from '../../../test/support/databases.ts';
import { type Logger, silentLog } from '../../lib/log.ts';
import { createStore } from '../../store/store.ts';
import { sampleKey } from '../../store/testing/samples.ts';
import { AppError } from '../errors.ts';
import { EventBus } from '../events/bus.ts';
import type { KeyRepository, Store } from '../ports/store.ts';
import { FakeClock } from '../testing/fake-clock.ts';
import { faultyStore } from '../testing/faulty-store.ts';
import type { Caller } from './caller.ts';
import { endedKeysMax, KeyService, liveKeysMax, type NewKey } from './service.ts';

const endless = { keyId: null, expiresAt: null };
const operator: Caller = {
  tenant: 'default',
  keyName: 'admin',
  ...endless,
  scopes: ['*'],
  tier: null,
  isOperator: true,
};
const blue: Caller = {
  tenant: 'blue',
  keyName: 'b',
  ...endless,
  scopes: ['*'],
  tier: null,
  isOperator: false,
};
const green: Caller = { ...blue, tenant: 'green' };
const request: NewKey = { name: 'ci', scopes: ['machines:read'] };
const page = { limit: 1000, offset: 0 };

const databases = new DatabasePool();
let store: Store;
let clock: FakeClock;
let service: KeyService;
const warnings: object[] = [];
const log: Logger = { ...silentLog, warn: (fields, message) => warnings.push({ ...fields, message }) };
/** Methods that replace the store's own. */
let overrides: Partial<KeyRepository>;
let prefixReads: number;

beforeEach(async () => {
  store = createStore(await databases.take());
  clock = new FakeClock();
  warnings.length = 0;
  overrides = {};
  prefixReads = 0;
  service = new KeyService({ store: observed(), clock, log });
});
afterEach(async () => {
  await service.close();
  await store.close();
});
afterAll(() => databases.close());

function observed(): Store {
  const keys = new Proxy(store.keys, {
    get: (target, name: keyof KeyRepository) => {
      if (name === 'withPrefix') prefixReads += 1;
      return overrides[name] ?? target[name];
    },
  });
  return { ...store, keys };
}

const refusal = (code: string, message?: string) =>
  expect.objectContaining({ code, ...(message === undefined ? {} : { message }) });
const invalid = refusal('unauthenticated', 'Invalid API key');
const after = (ms: number) => new Date(clock.now().getTime() + ms);

describe('create', () => {
  test('returns a secret that works at once and is stored nowhere', async () => {
    const { key, secret } = await service.create(blue, { name: 'ci', scopes: ['*', 'machines:exec', '*'] });
    expect(secret).toMatch(/^hf_[A-Za-z0-9]{32}$/);
    expect(key).toMatchObject({
      tenant: 'blue',
      prefix: secret.slice(0, 11),
      scopes: ['machines:exec', '*'],
    });
    expect(JSON.stringify(await service.list(blue, page))).not.toContain(secret);
    expect(await service.verify(secret)).toEqual({
      tenant: 'blue',
      keyName: 'ci',
      keyId: key.id,
      expiresAt: null,
      scopes: ['machines:exec', '*'],
      tier: null,
      isOperator: false,
    });
  });

  test('a key made by the operator does not have the operator’s rights', async () => {
    const { secret } = await service.create(operator, { ...request, scopes: ['*'] });
    expect(await service.verify(secret)).toMatchObject({ tenant: 'default', tier: null, isOperator: false });
  });

  test('only the operator makes keys for another tenant', async () => {
    await expect(service.create(blue, { ...request, tenant: 'green' })).rejects.toEqual(
      refusal('forbidden', 'Insufficient permissions for this action'),
    );
    expect((await service.create(blue, { ...request, tenant: 'blue' })).key.tenant).toBe('blue');
    expect((await service.create(operator, { ...request, tenant: 'green' })).key.tenant).toBe('green');
  });

  test.each([['machines:write'], ['*'], ['machines:read', 'machines:exec']] as const)(
    'a read-only key cannot make a key with %s',
    async (...scopes) => {
      const reader: Caller = { ...blue, scopes: ['machines:read'] };
      await expect(service.create(reader, { ...request, scopes })).rejects.toEqual(refusal('forbidden'));
    },
  );

  test.each([
    { name: '' },
    { name: 'x'.repeat(129) },
    { name: 'a\nb' },
    { name: 'a\ud800' },
    { scopes: [] },
    { tenant: '' },
    { tenant: '-a' },
    { tenant: 'A' },
    { tenant: 'a/b' },
    { tenant: 'a\n' },
    { tenant: 'x'.repeat(64) },
    { expiresAt: new Date('2025-12-31T23:59:59.999Z') },
    { expiresAt: new Date('2026-01-01T00:00:00.000Z') },
    { expiresAt: new Date(Number.NaN) },
    { expiresAt: new Date('9999-12-31T23:59:59.999-00:01') },
  ])('refuses %o', async (fields) => {
    await expect(service.create(operator, { ...request, ...fields })).rejects.toEqual(refusal('invalid'));
    expect((await service.list(operator, page)).total).toBe(0);
  });
});

describe('bounds', () => {
  const fill = (count: number, fields: Parameters<typeof sampleKey>[0]) =>
    store.transaction(async (tx) => {
      for (let n = 0; n < count; n++) await tx.keys.insert(sampleKey({ tenant: 'blue', ...fields }));
    });

  test('concurrent callers never exceed a tenant’s limit of keys', async () => {
    await fill(liveKeysMax - 3, {});
    const made = await Promise.allSettled(Array.from({ length: 10 }, () => service.create(blue, request)));
    expect(made.filter(({ status }) => status === 'fulfilled')).toHaveLength(3);
    for (const each of made) if (each.status === 'rejected') expect(each.reason).toEqual(refusal('conflict'));
    expect(await store.keys.countLive('blue', clock.now().toISOString())).toBe(liveKeysMax);
    await service.create(green, request);
  });

  test('revoked and expired keys do not count towards the limit', async () => {
    await fill(liveKeysMax - 2, {});
    await fill(5, { expiresAt: clock.now().toISOString() });
    await service.create(blue, { ...request, expiresAt: after(1_000) });
    const { key } = await service.create(blue, request);
    await expect(service.create(blue, request)).rejects.toEqual(refusal('conflict'));
    await service.revoke(blue, key.id);
    await service.create(blue, request);
    await expect(service.create(blue, request)).rejects.toEqual(refusal('conflict'));
    clock.advance(1_000);
    await service.create(blue, request);
  });

  test('the keys revoked longest ago are deleted', async () => {
    await store.keys.insert(sampleKey({ id: 'oldest', tenant: 'blue', revokedAt: '2024-01-01T00:00:00Z' }));
    await fill(endedKeysMax - 1, { revokedAt: '2025-01-01T00:00:00Z' });
    const { key } = await service.create(blue, request);
    await service.revoke(blue, key.id);
    expect((await service.list(blue, page)).total).toBe(endedKeysMax);
    await expect(service.get(blue, 'oldest')).rejects.toEqual(refusal('not_found'));
    expect(await service.get(blue, key.id)).toMatchObject({ revokedAt: clock.now().toISOString() });
  });
});

describe('tenants', () => {
  test('list, get and revoke only their own keys; the operator everyone’s', async () => {
    const { key, secret } = await service.create(blue, request);
    const missing = refusal('not_found', `Key with id '${key.id}' not found`);
    expect(await service.list(green, page)).toEqual({ keys: [], total: 0 });
    await expect(service.get(green, key.id)).rejects.toEqual(missing);
    await expect(service.revoke(green, key.id)).rejects.toEqual(missing);
    expect(await service.verify(secret)).toMatchObject({ tenant: 'blue' });
    expect((await service.list(operator, page)).keys.map(({ id }) => id)).toEqual([key.id]);
    expect(await service.get(operator, key.id)).toMatchObject({ id: key.id });
    await service.revoke(operator, key.id);
    await expect(service.verify(secret)).rejects.toEqual(refusal('unauthenticated'));
  });
});

describe('verify', () => {
  test.each([
    [null, 'Authorization header is required'],
    ['', 'Invalid API key'],
    [`hf_${'k'.repeat(31)}`, 'Invalid API key'],
    [`hf_${'k'.repeat(33)}`, 'Invalid API key'],
    [`hf_${'k'.repeat(31)}\0`, 'Invalid API key'],
    [`hf_${'k'.repeat(32)}`, 'Invalid API key'],
  ])('%j: %s', async (secret, message) => {
    await expect(service.verify(secret)).rejects.toEqual(refusal('unauthenticated', message));
  });

  test('the right prefix is not enough, and two keys may share one', async () => {
    const { key, secret } = await service.create(blue, request);
    await store.keys.insert(sampleKey({ prefix: key.prefix, tenant: 'green' }));
    const last = secret.endsWith('A') ? 'B' : 'A';
    await expect(service.verify(secret.slice(0, -1) + last)).rejects.toEqual(invalid);
    expect(await service.verify(secret)).toMatchObject({ tenant: 'blue' });
  });

  test('a key expires exactly on time, even if it was just read', async () => {
    const { secret } = await service.create(blue, { ...request, expiresAt: after(500) });
    clock.advance(499);
    await service.verify(secret);
    clock.advance(1);
    await expect(service.verify(secret)).rejects.toEqual(refusal('unauthenticated', 'API key has expired'));
    expect(prefixReads).toBe(1);
  });

  test('the database is read once a second per key, even when the clock is set back', async () => {
    const { secret } = await service.create(blue, request);
    for (const ms of [0, 500, 499]) {
      clock.advance(ms);
      await service.verify(secret);
    }
    expect(prefixReads).toBe(1);
    clock.advance(1);
    await service.verify(secret);
    expect(prefixReads).toBe(2);
    clock.set(-5_000);
    await service.verify(secret);
    expect(prefixReads).toBe(3);
  });

  test('a key revoked by another daemon is refused after a second', async () => {
    const { key, secret } = await service.create(blue, request);
    await service.verify(secret);
    await store.keys.revoke(key.id, clock.now().toISOString());
    await service.verify(secret);
    clock.advance(1_000);
    await expect(service.verify(secret)).rejects.toEqual(
      refusal('unauthenticated', 'API key has been revoked'),
    );
  });

  test('a failing store is not reported as a wrong key', async () => {
    const { secret } = await service.create(blue, request);
    overrides.withPrefix = () => Promise.reject(new AppError('unavailable', 'locked'));
    await expect(service.verify(secret)).rejects.toEqual(refusal('unavailable'));
  });
});

describe('revoke', () => {
  test('a key just used is refused at once; revoking it again changes nothing', async () => {
    const { key, secret } = await service.create(blue, request);
    await service.verify(secret);
    await service.revoke(blue, key.id);
    const revokedAt = clock.now().toISOString();
    await expect(service.verify(secret)).rejects.toEqual(
      refusal('unauthenticated', 'API key has been revoked'),
    );
    clock.advance(1);
    await service.revoke(blue, key.id);
    expect(await service.get(blue, key.id)).toMatchObject({ revokedAt });
    expect((await service.list(blue, page)).keys[0]).toMatchObject({ id: key.id, revokedAt });
  });

  test('a request that read the key just before the revocation reads it again', async () => {
    const { key, secret } = await service.create(blue, request);
    const isRead = Promise.withResolvers<void>();
    const mayGoOn = Promise.withResolvers<void>();
    overrides.withPrefix = async (prefix) => {
      const found = await store.keys.withPrefix(prefix);
      isRead.resolve();
      await mayGoOn.promise;
      return found;
    };
    const early = service.verify(secret);
    await isRead.promise;
    await service.revoke(blue, key.id);
    mayGoOn.resolve();
    for (const verified of [early, service.verify(secret)]) {
      await expect(verified).rejects.toEqual(refusal('unauthenticated', 'API key has been revoked'));
    }
  });

  test('a key whose revocation failed is read again', async () => {
    const { key, secret } = await service.create(blue, request);
    await service.verify(secret);
    const failing: Store = {
      ...observed(),
      transaction: () => Promise.reject(new AppError('timeout', 'no')),
    };
    const other = new KeyService({ store: failing, clock, log });
    await other.verify(secret);
    await expect(other.revoke(blue, key.id)).rejects.toEqual(refusal('timeout'));
    const before = prefixReads;
    await other.verify(secret);
    expect(prefixReads).toBe(before + 1);
    await other.close();
  });
});

describe('the last use', () => {
  const noted: string[] = [];
  beforeEach(() => {
    noted.length = 0;
    overrides.noteUse = async (id, at) => {
      noted.push(at);
      await store.keys.noteUse(id, at);
    };
  });

  test('is written at most once a minute per key', async () => {
    const { key, secret } = await service.create(blue, request);
    await Promise.all([service.verify(secret), service.verify(secret)]);
    const first = clock.now().toISOString();
    clock.advance(59_999);
    await service.verify(secret);
    expect(noted).toEqual([first]);
    clock.advance(1);
    await service.verify(secret);
    await service.close();
    expect(noted).toEqual([first, clock.now().toISOString()]);
    expect(await service.get(blue, key.id)).toMatchObject({ lastUsedAt: clock.now().toISOString() });
  });

  test('is not written again by a daemon that has just started', async () => {
    const { secret } = await service.create(blue, request);
    await service.verify(secret);
    await service.close();
    const next = new KeyService({ store: observed(), clock, log });
    clock.advance(1_000);
    await next.verify(secret);
    await next.close();
    expect(noted).toHaveLength(1);
  });

  test('fails no request when it cannot be written, and is retried after a minute', async () => {
    const { key, secret } = await service.create(blue, request);
    overrides.noteUse = async (_, at) => {
      noted.push(at);
      throw new AppError('exhausted', 'no space');
    };
    await service.verify(secret);
    clock.advance(59_999);
    await service.verify(secret);
    clock.advance(1);
    await service.verify(secret);
    await service.close();
    expect(noted).toHaveLength(2);
    expect(warnings).toEqual([
      { keyId: key.id, err: expect.anything(), message: expect.any(String) },
      { keyId: key.id, err: expect.anything(), message: expect.any(String) },
    ]);
    expect(JSON.stringify(warnings)).not.toContain(secret);
  });

  test('delays no request; close waits for it', async () => {
    const { secret } = await service.create(blue, request);
    const written = Promise.withResolvers<void>();
    overrides.noteUse = () => written.promise;
    await service.verify(secret);
    let isClosed = false;
    const closing = service.close().then(() => {
      isClosed = true;
    });
    await new Promise((resolve) => setImmediate(resolve));
    expect(isClosed).toBe(false);
    written.resolve();
    await closing;
  });

  test('of a refused key is not recorded', async () => {
    const { secret } = await service.create(blue, { ...request, expiresAt: after(1) });
    clock.advance(1);
    await expect(service.verify(secret)).rejects.toEqual(refusal('unauthenticated'));
    expect(noted).toEqual([]);
  });
});

describe('the end of a key', () => {
  test('ends the keys made with it, and their requests', async () => {
    const all = { ...request, scopes: ['*'] as const };
    const root = await service.create(blue, all);
    const child = await service.create(await service.verify(root.secret), all);
    const grandchild = await service.create(await service.verify(child.secret), all);
    expect([child.key.createdBy, grandchild.key.createdBy]).toEqual([root.key.id, child.key.id]);
    const told: string[] = [];
    service.watchEnd(await service.verify(grandchild.secret), ({ message }) => told.push(message));
    await service.revoke(blue, root.key.id);
    for (const { secret } of [root, child, grandchild]) {
      await expect(service.verify(secret)).rejects.toEqual(refusal('unauthenticated'));
    }
    expect(told).toEqual(['API key has been revoked']);
  });

  test('prevents new keys, even by requests authenticated before', async () => {
    const { key, secret } = await service.create(blue, { ...request, scopes: ['*'] });
    const maker = await service.verify(secret);
    await service.revoke(blue, key.id);
    await expect(service.create(maker, request)).rejects.toEqual(refusal('unauthenticated'));
    expect((await service.list(blue, page)).total).toBe(1);
  });

  test('also limits the keys made with it', async () => {
    const expiresAt = after(60_000);
    const maker = await service.verify(
      (await service.create(blue, { ...request, scopes: ['*'], expiresAt })).secret,
    );
    const tooLate = new Date(expiresAt.getTime() + 1);
    for (const later of [undefined, tooLate]) {
      await expect(service.create(maker, { ...request, expiresAt: later })).rejects.toMatchObject({
        code: 'forbidden',
        hint: expect.stringContaining(expiresAt.toISOString()),
      });
    }
    expect((await service.create(maker, { ...request, expiresAt })).key.expiresAt).toBe(
      expiresAt.toISOString(),
    );
  });

  test('is reported once to its own requests, and not to others', async () => {
    const made = await service.create(blue, { ...request, name: 'one' });
    const other = await service.create(blue, { ...request, name: 'two' });
    const told: string[] = [];
    const watch = async (secret: string, name: string) =>
      service.watchEnd(await service.verify(secret), (reason) => told.push(`${name}: ${reason.message}`));
    await watch(made.secret, 'one');
    const release = await watch(made.secret, 'left');
    await watch(other.secret, 'two');
    release();
    await service.revoke(blue, made.key.id);
    await service.revoke(blue, made.key.id);
    expect(told).toEqual(['one: API key has been revoked']);
  });

  test('by expiry is reported on time', async () => {
    const soon = new Date(clock.now().getTime() + 20);
    const { secret } = await service.create(blue, { ...request, expiresAt: soon });
    const told = Promise.withResolvers<AppError>();
    service.watchEnd(await service.verify(secret), told.resolve);
    expect((await told.promise).message).toBe('API key has expired');
  });
});

describe('a revocation without a confirmed call of this service', () => {
  /** The reasons reported to the watcher of a new key, and the key's id. */
  async function watched(): Promise<{
    readonly id: string;
    readonly ended: Promise<AppError>;
    bus: EventBus;
  }> {
    const bus = await EventBus.open({ store, log: silentLog });
    service.follow(bus);
    const { key, secret } = await service.create(blue, request);
    const caller = await service.verify(secret);
    const { promise, resolve } = Promise.withResolvers<AppError>();
    service.watchEnd(caller, resolve);
    return { id: key.id, ended: promise, bus };
  }

  test('ends open requests when the answer of its commit was lost', async () => {
    const faults = faultyStore(store);
    service = new KeyService({ store: faults.store, clock, log });
    const { id, ended, bus } = await watched();
    // Several times, because the commit that records the key's last use may come first.
    faults.failAt(1, 'lost', 5);
    await expect(service.revoke(blue, id)).rejects.toMatchObject({ isMaybeDone: true });
    expect(await ended).toMatchObject(refusal('unauthenticated'));
    await bus.close();
  });

  test('ends open requests when another daemon made it', async () => {
    const { id, ended, bus } = await watched();
    const other = new KeyService({ store, clock, log });
    await other.revoke(blue, id);
    expect(await ended).toMatchObject(refusal('unauthenticated'));
    await other.close();
    await bus.close();
  });
});
