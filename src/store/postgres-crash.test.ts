import { once } from 'node:events';
import { mkdtemp, rm } from 'node:fs/promises';
import { connect, createServer, type Socket } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, it } from 'vitest';
import { type PostgresServer, startPostgres } from '../../test/support/postgres.ts';
import { CommitUnknownError, isAppError } from '../core/errors.ts';
import { subjectId } from '../core/operations/operation.ts';
import type { Store } from '../core/ports/store.ts';
import { openStore } from './store.ts';
import { sampleHostId, sampleMachine } from './testing/samples.ts';
import { writeAndKill } from './testing/writers.ts';

let server: PostgresServer;
let url: string;
let store: Store;
beforeAll(async () => {
  server = await startPostgres({ isDurable: true });
});
afterAll(() => server?.stop());
beforeEach(async () => {
  url = await server.createDatabase();
  store = await openStore({ databaseUrl: url, path: '' });
});
afterEach(() => store.close());

/** Simulates an operator, failover or network device that cuts connections. */
const cutConnections = () =>
  server.query(
    url,
    `select pg_terminate_backend(pid, 10000) from pg_stat_activity
     where datname = current_database() and pid <> pg_backend_pid()`,
  );

/** The pool may not yet know that a connection is gone; each such connection costs one error. */
async function untilRecovered<T>(attempt: () => Promise<T>): Promise<T> {
  for (let n = 0; n < 10; n++) {
    try {
      return await attempt();
    } catch (error) {
      if (!isAppError(error, 'unavailable')) throw error;
    }
  }
  return attempt();
}

describe('a lost connection', () => {
  it('is replaced when it was idle', async () => {
    await Promise.all(Array.from({ length: 20 }, () => store.machines.all(sampleHostId)));
    await cutConnections();
    await untilRecovered(() => store.machines.insert(sampleMachine({ name: 'after' })));
    expect(await untilRecovered(() => store.machines.all(sampleHostId))).toHaveLength(1);
  });

  it('ends its transaction with a clear error, and the store continues', async () => {
    const work = store.transaction(async (tx) => {
      await tx.machines.insert(sampleMachine());
      await cutConnections();
      await tx.machines.insert(sampleMachine());
    });
    await expect(work).rejects.toMatchObject({ code: 'unavailable', hint: expect.any(String) });
    const { id } = await untilRecovered(() => store.machines.insert(sampleMachine()));
    expect((await store.machines.all(sampleHostId)).map((machine) => machine.id)).toEqual([id]);
  });

  it('between two statements ends only the transaction', async () => {
    const work = store.transaction(async (tx) => {
      await tx.machines.insert(sampleMachine());
      await cutConnections();
    });
    await expect(work).rejects.toMatchObject({ code: 'unavailable' });
    expect(await untilRecovered(() => store.machines.all(sampleHostId))).toEqual([]);
  });

  // If the connection breaks before the commit reaches the server, nothing is written; after it, everything
  // is. The client cannot tell which.
  it.each([
    ['before the commit arrives', 'request', 0],
    ['after the commit was answered', 'answer', 1],
  ] as const)('%s leaves the commit uncertain, and the error says so', async (_, cutting, rows) => {
    const proxy = await cutAtCommit(url, cutting);
    const far = await openStore({ databaseUrl: proxy.url, path: '' });
    proxy.arm();
    try {
      const write = far.machines.insert(sampleMachine());
      await expect(write).rejects.toBeInstanceOf(CommitUnknownError);
      await expect(write).rejects.toMatchObject({
        code: 'unavailable',
        isMaybeDone: true,
        message: expect.stringContaining('while changes were committed'),
        hint: expect.stringContaining('Check whether'),
      });
      expect(await store.machines.all(sampleHostId)).toHaveLength(rows);
    } finally {
      await far.close();
      await proxy.close();
    }
  });
});

describe('durability', () => {
  it('keeps every acknowledged transaction completely after the writer and the server were killed', async () => {
    const acknowledged: string[] = [];
    for (const count of [1, 100]) {
      acknowledged.push(...(await writeAndKill(['url', url], count)));
      await server.crash();
    }
    const machines = new Set(
      (await untilRecovered(() => store.machines.all(sampleHostId))).map((machine) => machine.id),
    );
    expect(acknowledged.filter((id) => !machines.has(id))).toEqual([]);
    const operations = await store.operations.open(sampleHostId);
    expect(operations.map((operation) => subjectId(operation, 'machine')).sort()).toEqual(
      [...machines].sort(),
    );
    // Only the insert in progress at each kill may be committed without an acknowledgement.
    expect(machines.size - acknowledged.length).toBeLessThanOrEqual(2);
  });
});

/**
 * A proxy to the server that, once armed, breaks the connection instead of forwarding a commit or its answer.
 */
async function cutAtCommit(target: string, cutting: 'request' | 'answer') {
  const parsed = new URL(target.replace('@/', '@host/'));
  const socketName = '.s.PGSQL.5432';
  const targetPath = join(parsed.searchParams.get('host') ?? '', socketName);
  const directory = await mkdtemp(join(tmpdir(), 'pgx-'));
  const sockets = new Set<Socket>();
  let isArmed = false;
  const proxy = createServer((client) => {
    const upstream = connect(targetPath);
    const cut = () =>
      [client, upstream].forEach((socket) => {
        socket.destroy();
      });
    for (const socket of [client, upstream]) {
      sockets.add(socket);
      socket.on('error', cut).on('close', cut);
    }
    let isCommitting = false;
    upstream.on('data', (data) => {
      if (isCommitting) cut();
      else client.write(data);
    });
    client.on('data', (data) => {
      isCommitting = isArmed && data.includes('commit\0');
      if (isCommitting && cutting === 'request') cut();
      else upstream.write(data);
    });
  });
  proxy.listen(join(directory, socketName));
  await once(proxy, 'listening');
  return {
    arm: () => {
      isArmed = true;
    },
    url: target.replace(/host=.*$/, `host=${encodeURIComponent(directory)}`),
    async close() {
      for (const socket of sockets) socket.destroy();
      proxy.close();
      await once(proxy, 'close');
      await rm(directory, { recursive: true });
    },
  };
}
