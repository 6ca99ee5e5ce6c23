/** What a QEMU could do while it saves its guest, scripted: the answers to commands, and what comes through the socket. */
import { mkdtemp, readdir, rm } from 'node:fs/promises';
import { connect } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, expect, test } from 'vitest';
import type { QmpClient } from './qmp.ts';
import { type SaveRequest, saveState } from './saving.ts';

const never = new AbortController().signal;

let directory: string;
let request: SaveRequest;
beforeEach(async () => {
  directory = await mkdtemp(join(tmpdir(), 'flotilla-saving-'));
  const facts = {
    incarnation: 'i1',
    qemuVersion: '1',
    processor: null,
    hardware: '',
    hasAcpi: true,
    kernelArgs: null,
  };
  request = { directory, socket: join(directory, 'state.sock'), memoryMib: 0, facts };
});
afterEach(() => rm(directory, { recursive: true }));

interface Script {
  readonly migration: string;
  /** Answers to `query-migrate` and `query-status` after `migrate_cancel`, in turn; the last one is repeated. */
  readonly cancelled?: { readonly migrations: readonly string[]; readonly statuses: readonly string[] };
  /** Called for `migrate`. */
  readonly onMigrate: () => void;
}

const atOnce = { migrations: ['cancelled'], statuses: ['postmigrate'] };

function scripted({ migration, cancelled = atOnce, onMigrate }: Script) {
  const commands: string[] = [];
  const answers = { 'query-migrate': [migration], 'query-status': ['paused'] };
  const execute = async (name: string) => {
    commands.push(name);
    if (name === 'migrate') onMigrate();
    if (name === 'migrate_cancel') {
      answers['query-migrate'] = [...cancelled.migrations];
      answers['query-status'] = [...cancelled.statuses];
    }
    if (name !== 'query-migrate' && name !== 'query-status') return {};
    const [status] = answers[name];
    if (answers[name].length > 1) answers[name].shift();
    return { status };
  };
  return { commands, qmp: { execute } as unknown as QmpClient };
}

/** Sends as a migration does, and does not mind being cut off. */
function send(data: Buffer | string): void {
  connect(request.socket)
    .on('error', () => undefined)
    .end(data);
}

test('more than the memory is refused, and the guest may go on only when the migration is over', async () => {
  const { commands, qmp } = scripted({
    migration: 'active',
    cancelled: {
      migrations: ['cancelling', 'cancelling', 'cancelled'],
      statuses: ['finish-migrate', 'finish-migrate', 'postmigrate'],
    },
    onMigrate: () => send(Buffer.alloc(65 * 1024 * 1024)),
  });
  await expect(saveState(qmp, request, never)).rejects.toMatchObject({
    code: 'engine',
    message: expect.stringContaining('more than its memory'),
  });
  const last = commands.slice(commands.indexOf('migrate_cancel'));
  expect(last.filter((name) => name === 'query-status')).toHaveLength(3);
  expect(last.at(-1)).toBe('query-status');
  expect(await readdir(directory)).toEqual(['state']);
});

test('a QEMU that never connects is given up when the signal aborts', async () => {
  const stop = new AbortController();
  const onMigrate = () => setImmediate(() => stop.abort(new Error('enough')));
  const { qmp } = scripted({ migration: 'active', onMigrate });
  await expect(saveState(qmp, request, stop.signal)).rejects.toThrow('enough');
  expect(await readdir(directory)).toEqual([]);
});

test('a QEMU that fails in the middle leaves no manifest', async () => {
  const { qmp } = scripted({ migration: 'failed', onMigrate: () => send('half') });
  await expect(saveState(qmp, request, never)).rejects.toMatchObject({ code: 'engine' });
  expect(await readdir(directory)).not.toContain('manifest.json');
});
