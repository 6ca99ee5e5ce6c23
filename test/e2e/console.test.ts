/** The console of a real guest over HTTP, also after a restart of the daemon. */
import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { type DaemonProcess, makeStateDirectory, startDaemonProcess } from '../support/daemon.ts';

let state: Awaited<ReturnType<typeof makeStateDirectory>>;
let daemon: DaemonProcess;
let key: string;

beforeAll(async () => {
  state = await makeStateDirectory();
  daemon = await startDaemonProcess(state.path);
  key = (await readFile(join(state.path, 'admin.key'), 'utf8')).trim();
  const spec = { name: 'web', vcpu_count: 1, mem_size_mib: 128, image: 'busybox' };
  await daemon.client.machines.create(spec);
});
afterAll(async () => {
  await daemon.client.machines.delete('web', { force: true });
  await daemon.terminate();
  await state.remove();
});

async function open(query = ''): Promise<Response> {
  const url = (await readFile(join(state.path, 'daemon.url'), 'utf8')).trim();
  const response = await fetch(`${url}/machines/web/console${query}`, {
    headers: { Authorization: `Bearer ${key}` },
  });
  expect(response.status).toBe(200);
  return response;
}
const consoleText = async (query = '') => (await open(query)).text();

/** Follows a console; the output is collected in `text`. */
function reading({ body }: Response) {
  if (!body) throw new Error('the answer has no body');
  const reader = body.pipeThrough(new TextDecoderStream()).getReader();
  let text = '';
  const more = async () => {
    const { done, value } = await reader.read();
    text += value ?? '';
    return !done;
  };
  return {
    /** Resolves when `wanted` was read; rejects when the console ends before. */
    async until(wanted: string): Promise<void> {
      while (!text.includes(wanted)) {
        if (!(await more())) throw new Error(`the console ended without ${wanted}: ${text}`);
      }
    },
    async toEnd(): Promise<string> {
      while (await more());
      return text;
    },
  };
}
const print = (word: string) =>
  daemon.client.machines.exec('web', { command: ['sh', '-c', `echo ${word} > /dev/console`] });

test('the console of a machine, from its first start until after its end', async () => {
  expect(await consoleText()).toBe('');
  await daemon.client.machines.start('web');
  expect(await consoleText('?lines=10000')).toMatch(/^\[ *\d+\.\d+\] /m);

  const following = reading(await open('?lines=1&follow=true'));
  await print('hello-one');
  await following.until('hello-one\r\n');

  await daemon.kill();
  await following.toEnd().catch(() => undefined);
  daemon = await startDaemonProcess(state.path);
  expect(await consoleText()).toContain('hello-one\r\n');

  const adopted = reading(await open('?lines=1&follow=true'));
  const left = reading(await open('?follow=true'));
  await print('hello-two');
  await adopted.until('hello-two\r\n');
  await left.until('hello-two\r\n');
  await daemon.client.machines.stop('web');
  const whole = await left.toEnd();
  expect((await adopted.toEnd()).split('hello-two\r\n')[1]).toBe(whole.split('hello-two\r\n')[1]);

  expect(await consoleText('?lines=10000')).toContain('hello-two\r\n');
  await daemon.terminate();
  daemon = await startDaemonProcess(state.path);
  expect(await consoleText('?lines=10000')).toContain('hello-two\r\n');
}, 300_000);
