/** A session releases what it holds, exactly once, however the connection ends. */
import { EventEmitter } from 'node:events';
import type { IncomingMessage, ServerResponse } from 'node:http';
import { PassThrough } from 'node:stream';
import { expect, test } from 'vitest';
import { AppError } from '../core/errors.ts';
import type { Caller } from '../core/keys/caller.ts';
import { Connection } from './connection.ts';
import { Holdings } from './holdings.ts';
import { Rates } from './rates.ts';
import { Session } from './session.ts';

const caller: Caller = {
  ...{ tenant: 'a', keyName: 'k', keyId: 'key1', tier: null, isOperator: false },
  ...{ expiresAt: null, scopes: ['*'] as const },
};

function open({ isGone = false, endedWith = null as AppError | null } = {}) {
  const outgoing = Object.assign(new EventEmitter(), { destroyed: isGone, writableFinished: false });
  const watches = new Set<(reason: AppError) => void>();
  const memory = new Holdings({ total: 100, perHolder: 60 }, 'bytes');
  const requests = new Holdings({ total: 2, perHolder: 1 }, 'requests');
  const session = new Session(
    {
      keys: { verify: async () => caller },
      keysOf: () => [],
      endings: {
        watchEnd: (_, listener) => {
          if (endedWith) listener(endedWith);
          else watches.add(listener);
          return () => void watches.delete(listener);
        },
      },
      ...{ memory, requests, rates: new Rates(), bodyLimits: { bytesMax: 1, deadlineMs: 1 } },
    },
    {
      incoming: { headers: {} } as IncomingMessage,
      outgoing: outgoing as unknown as ServerResponse,
      connection: new Connection(new PassThrough(), 'here', () => undefined),
    },
  );
  const close = (isFinished: boolean) => {
    outgoing.writableFinished = isFinished;
    outgoing.destroyed = true;
    outgoing.emit('close');
  };
  return { session, watches, close, memory, requests };
}

test('when the client has its answer, everything is released and nothing is aborted', () => {
  const { session, watches, close, memory, requests } = open();
  session.admit(caller);
  session.reserve(30);
  session.reserve(30);
  const { signal } = session;
  expect(watches.size).toBe(1);
  close(true);
  expect([watches.size, memory.isEmpty, requests.isEmpty]).toEqual([0, true, true]);
  expect(signal.aborted).toBe(false);
});

test('when the client disconnects, the signal aborts', () => {
  const { session, watches, close } = open();
  session.admit(caller);
  const { signal } = session;
  close(false);
  expect(signal.reason).toMatchObject({ code: 'unavailable' });
  expect(watches.size).toBe(0);
});

test('for a client already gone it aborts at once, without a watch or anything held', () => {
  const { session, watches, memory, requests } = open({ isGone: true });
  session.admit(caller);
  session.reserve(30);
  expect(session.signal.reason).toMatchObject({ code: 'unavailable' });
  expect([watches.size, memory.isEmpty, requests.isEmpty]).toEqual([0, true, true]);
});

test('a key that has ended aborts at once', () => {
  const { session } = open({ endedWith: new AppError('unauthenticated', 'revoked') });
  session.admit(caller);
  expect(session.signal.reason).toMatchObject({ code: 'unauthenticated' });
});

test('a reservation over the limit is refused and not held', () => {
  const { session, close, memory } = open();
  session.admit(caller);
  session.reserve(50);
  expect(() => session.reserve(20)).toThrow(expect.objectContaining({ code: 'exhausted' }));
  close(true);
  expect(memory.isEmpty).toBe(true);
});

test('the operator’s share is separate', () => {
  const holdings = new Holdings({ total: 100, perHolder: 60 }, 'bytes');
  holdings.take('a', 60);
  holdings.take('b', 40);
  expect(() => holdings.take('c', 1)).toThrow(expect.objectContaining({ code: 'exhausted' }));
  holdings.take(null, 60);
  expect(() => holdings.take(null, 1)).toThrow(expect.objectContaining({ code: 'exhausted' }));
});
