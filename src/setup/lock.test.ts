import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { withLock } from './lock.ts';

let dir: string;
let path: string;
beforeEach(async () => {
  dir = await mkdtemp(join(tmpdir(), 'flotilla-lock-'));
  path = join(dir, 'deep', 'setup.lock');
});
afterEach(() => rm(dir, { recursive: true, force: true }));

const options = (onWait: () => void = () => undefined, signal = AbortSignal.timeout(30_000)) => ({
  env: process.env,
  signal,
  onWait,
});

describe('withLock', () => {
  it('admits one at a time and notifies the waiting one', async () => {
    const order: string[] = [];
    const held = Promise.withResolvers<void>();
    const waiting = Promise.withResolvers<void>();
    const first = withLock(path, options(), async () => {
      order.push('first in');
      held.resolve();
      await waiting.promise;
      order.push('first out');
    });
    await held.promise;
    const second = withLock(path, options(waiting.resolve), async () => {
      order.push('second in');
    });
    await Promise.all([first, second]);
    expect(order).toEqual(['first in', 'first out', 'second in']);
  });

  it('releases the lock when the work fails', async () => {
    const failing = withLock(path, options(), () => Promise.reject(new Error('no')));
    await expect(failing).rejects.toThrow('no');
    await expect(withLock(path, options(), async () => 'in')).resolves.toBe('in');
  });

  it('gives up waiting when aborted', async () => {
    const controller = new AbortController();
    await withLock(path, options(), async () => {
      const onWait = () => controller.abort(new Error('enough'));
      const waiter = withLock(path, options(onWait, controller.signal), async () => 'in');
      await expect(waiter).rejects.toThrow('enough');
    });
  });

  it('is free after its holder was killed', async () => {
    const script = `
      const { withLock } = await import(${JSON.stringify(join(import.meta.dirname, 'lock.ts'))});
      const options = { env: process.env, signal: AbortSignal.timeout(60000), onWait: () => {} };
      await withLock(${JSON.stringify(path)}, options, () => {
        process.stdout.write('held');
        return new Promise((resolve) => setTimeout(resolve, 60000));
      });`;
    const holder = spawn(process.execPath, ['--input-type=module', '-e', script], {
      stdio: ['ignore', 'pipe', 'inherit'],
    });
    await once(holder.stdout, 'data');
    holder.kill('SIGKILL');
    await once(holder, 'exit');
    await expect(withLock(path, options(), async () => 'in')).resolves.toBe('in');
  });

  it('says which program is missing', async () => {
    const withoutFlock = { ...options(), env: { PATH: dir } };
    await expect(withLock(path, withoutFlock, async () => 'in')).rejects.toMatchObject({
      code: 'unsupported',
      hint: expect.stringContaining('util-linux'),
    });
  });
});
