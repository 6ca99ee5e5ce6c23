/** Terminals in real guests, from a real pseudo-terminal on this host. */
import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { afterAll, beforeAll, expect, test, vi } from 'vitest';
import { repository, runCommand, startTestHost, type TestHost } from '../support/host.ts';
import { type Pty, startPty } from '../support/pty.ts';

let host: TestHost;
beforeAll(async () => {
  host = await startTestHost();
  const made = await flotilla('create', 'busybox', '--name', 'term', '--memory', '128', '--start');
  expect(made.exitCode).toBe(0);
});
afterAll(() => host.close());

vi.setConfig({ testTimeout: 300_000, hookTimeout: 300_000 });

const flotilla = (...args: string[]) => runCommand('./flotilla', args, { env: host.env });
const prompt = '~ # ';
const escapeKey = '\u001b';
const [ctrlC, ctrlD, ctrlZ, detach] = ['\u0003', '\u0004', '\u001a', '\u0010\u0011'];
/** The modes of the terminal before and after; a difference fails the script with 99. */
const watched = (command: string) =>
  `a=$(stty -g); ${command}; code=$?; [ "$a" = "$(stty -g)" ] || code=99; echo "code $code."; exit $code`;

async function shell(command = './flotilla exec -it term sh'): Promise<Pty> {
  const pty = startPty(watched(command), host.env);
  await pty.says(prompt);
  return pty;
}

async function line(pty: Pty, text: string, answer: string): Promise<void> {
  pty.type(`${text}\r`);
  await pty.says(`${text}\r\n`);
  await pty.says(answer);
}

test('the size follows the window, TERM is ours, and the exit code is the command’s', async () => {
  const pty = await shell();
  await line(pty, 'stty size; echo $TERM; tty', '24 80\r\nxterm\r\n/dev/pts/');
  // stty sets rows and columns one after the other, so the guest may see a size in between. It waits for the size before
  // it changes, because a shell that is told another size draws its line again.
  const wait = 'until [ "$(stty size)" = "30 100" ]; do :; done; stty size';
  pty.type(`${wait}\r`);
  await pty.says(`${wait}\r\n`);
  pty.resize(30, 100);
  await pty.says('30 100\r\n');
  pty.type('exit 42\r');
  expect(await pty.done, pty.shown()).toBe(42);
});

test('Ctrl-C and Ctrl-Z reach what runs in front, Ctrl-D ends the shell', async () => {
  const pty = await shell();
  const cat = `sh -c 'echo begun; exec cat'`;
  await line(pty, cat, 'begun\r\n');
  await line(pty, 'hello', 'hello\r\n');
  pty.type(ctrlC);
  await pty.says(prompt);
  await line(pty, 'echo code=$?', 'code=130\r\n');
  await line(pty, cat, 'begun\r\n');
  await line(pty, 'first', 'first\r\n');
  pty.type(ctrlZ);
  await pty.says('Stopped');
  await pty.says(prompt);
  await line(pty, 'fg', 'exec cat');
  await pty.says('\r\n');
  await line(pty, 'second', 'second\r\n');
  pty.type(ctrlD);
  await pty.says(prompt);
  await line(pty, '(exit 7)', prompt);
  pty.type(ctrlD);
  expect(await pty.done, pty.shown()).toBe(7);
});

test('vi edits a file; left in the middle and attached to again, it draws its screen', async () => {
  const pty = await shell();
  pty.type('vi /root/note\r');
  await pty.says('- /root/note');
  pty.type('ihello from vi');
  await pty.says('hello from vi');
  pty.type(detach);
  await pty.says('runs on; attach again with: flotilla attach term ');
  expect(await pty.done, pty.shown()).toBe(0);
  const again = startPty(watched('./flotilla attach term'), host.env);
  await again.says('hello from vi');
  again.type(escapeKey);
  await again.says('- /root/note');
  again.type(':wq\r');
  await again.says(prompt);
  await line(again, 'cat /root/note', 'hello from vi');
  again.type('exit 5\r');
  expect(await again.done, again.shown()).toBe(5);
});

test('run -it removes its machine, unless its command was left running', async () => {
  const pty = await shell('./flotilla run -it --name short busybox sh');
  await line(pty, 'hostname', 'short\r\n');
  pty.type('exit 3\r');
  expect(await pty.done, pty.shown()).toBe(3);
  const left = await shell('./flotilla run -it --name left busybox sh');
  left.type(detach);
  await left.says('Machine left is kept');
  expect(await left.done, left.shown()).toBe(0);
  const names = (await host.client.machines.list()).machines.map(({ name }) => name);
  expect(names.sort()).toEqual(['left', 'term']);
  expect((await flotilla('rm', '-f', 'left')).exitCode).toBe(0);
});

test('a machine that stops ends the session, and the terminal is as before', async () => {
  await flotilla('create', 'busybox', '--name', 'brief', '--memory', '128', '--start');
  const pty = await shell('./flotilla exec -it brief sh');
  expect((await flotilla('stop', 'brief')).exitCode).toBe(0);
  await pty.says('code ');
  expect([125, 129, 137, 143]).toContain(await pty.done);
  expect((await flotilla('rm', 'brief')).exitCode).toBe(0);
});

test('a command in the background is listed, followed and removed', async () => {
  const script = 'echo one; while [ ! -e /root/go ]; do sleep 0.1; done; echo two; exit 9';
  const id = (await flotilla('exec', '-d', 'term', 'sh', '-c', script)).stdout.toString().trim();
  const listed = JSON.parse((await flotilla('execs', 'term', '--json')).stdout.toString());
  expect(listed.execs.at(-1)).toMatchObject({ id, state: 'running' });
  const attached = flotilla('attach', 'term', id.slice(0, 6));
  await flotilla('exec', 'term', 'touch', '/root/go');
  expect(await attached).toMatchObject({ exitCode: 9, stdout: Buffer.from('one\ntwo\n'), stderr: '' });
  expect((await flotilla('execs', 'wait', 'term', id)).stdout.toString()).toBe('9\n');
  expect((await flotilla('execs', 'rm', 'term', id)).exitCode).toBe(0);
});

test('the commands of docs/commands.md', async () => {
  const text = await readFile(join(repository, 'docs/commands.md'), 'utf8');
  const [, block = ''] = /^```sh\n(.*?)^```$/ms.exec(text) ?? [];
  const { exitCode, stdout, stderr } = await runCommand('bash', ['-euo', 'pipefail', '-c', block], {
    env: host.env,
  });
  expect(exitCode, stderr).toBe(0);
  const lines = stdout.toString().split('\n');
  expect(lines.slice(2, 3)).toEqual(['hello']);
  for (const line of ['A=1', 'LOGNAME=root', '3', '100', 'exit code 3']) expect(lines).toContain(line);
});

test('20 MB of standard input arrive completely', async () => {
  const pipeline = 'head -c 20000000 /dev/zero | ./flotilla exec -i term wc -c';
  const { stdout } = await runCommand('sh', ['-c', pipeline], { env: host.env });
  expect(stdout.toString().trim()).toBe('20000000');
});
