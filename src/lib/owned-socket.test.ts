/** A victim's socket, and an attacker with another user id who may add files to its own directory. */
import { execFileSync } from 'node:child_process';
import { chmod, chown, lchown, mkdir, mkdtemp, rename, rm, symlink, writeFile } from 'node:fs/promises';
import { createServer, type Server } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { text } from 'node:stream/consumers';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { connectOwned, ForeignSocketError } from './owned-socket.ts';

const isRoot = process.getuid?.() === 0;
const attacker = 700_001;
const victim = 700_002;
const never = new AbortController().signal;

let root: string;
const servers: Server[] = [];
let heard = 0;

/** A listening socket owned by `uid`; counts the bytes it receives. */
async function listen(path: string, uid: number | null, word = 'hello'): Promise<void> {
  const server = createServer((socket) => {
    heard += 1;
    socket.on('error', () => undefined).end(word);
  });
  servers.push(server);
  await new Promise<void>((resolve) => server.listen(path, resolve));
  if (uid !== null) await chown(path, uid, uid);
}

async function runDirectory(name: string, uid: number): Promise<string> {
  const path = join(root, name);
  await mkdir(path);
  await chown(path, 0, uid);
  await chmod(path, 0o1770);
  return path;
}

beforeEach(async () => {
  root = await mkdtemp(join(tmpdir(), 'flotilla-sock-'));
  await chmod(root, 0o711);
  heard = 0;
});

afterEach(async () => {
  for (const server of servers.splice(0)) await new Promise((resolve) => server.close(resolve));
  await rm(root, { recursive: true });
});

it('connects to its own user’s socket', async () => {
  await listen(join(root, 's'), null);
  expect(await text(await connectOwned(join(root, 's'), never))).toBe('hello');
});

it('reports a missing socket and one without a listener', async () => {
  await expect(connectOwned(join(root, 's'), never)).rejects.toMatchObject({ code: 'ENOENT' });
  await listen(join(root, 'was'), null);
  await rename(join(root, 'was'), join(root, 'is'));
  await new Promise((resolve) => servers.pop()?.close(resolve));
  await expect(connectOwned(join(root, 'is'), never)).rejects.toMatchObject({ code: 'ECONNREFUSED' });
});

it('refuses symbolic links and files that are not sockets', async () => {
  await listen(join(root, 'real'), null);
  await symlink(join(root, 'real'), join(root, 'link'));
  await writeFile(join(root, 'file'), '');
  execFileSync('mkfifo', [join(root, 'fifo')]);
  for (const name of ['link', 'file', 'fifo'])
    await expect(connectOwned(join(root, name), never)).rejects.toBeInstanceOf(ForeignSocketError);
  expect(heard).toBe(0);
});

describe.runIf(isRoot)('in a directory shared with a VMM (needs root)', () => {
  it('connects to the socket of that VMM', async () => {
    const directory = await runDirectory('own', attacker);
    await listen(join(directory, 'qmp.sock'), attacker);
    expect(await text(await connectOwned(join(directory, 'qmp.sock'), never))).toBe('hello');
  });

  it.each([
    ['a symbolic link', async (from: string, to: string) => symlink(to, from)],
    [
      "a symbolic link of the attacker's own",
      async (from: string, to: string) => {
        await symlink(to, from);
        await lchown(from, attacker, attacker);
      },
    ],
    ['the socket itself, moved', async (from: string, to: string) => rename(to, from)],
  ])("never sends a byte to another VMM's socket: %s", async (_, lead) => {
    const theirs = await runDirectory('victim', victim);
    const own = await runDirectory('attacker', attacker);
    await listen(join(theirs, 'qmp.sock'), victim);
    await lead(join(own, 'qmp.sock'), join(theirs, 'qmp.sock'));
    await expect(connectOwned(join(own, 'qmp.sock'), never)).rejects.toBeInstanceOf(ForeignSocketError);
    expect(heard).toBe(0);
  });

  it('refuses a directory that another user owns', async () => {
    const directory = await runDirectory('theirs', attacker);
    await listen(join(directory, 's'), attacker);
    await chown(directory, attacker, attacker);
    await expect(connectOwned(join(directory, 's'), never)).rejects.toBeInstanceOf(ForeignSocketError);
  });
});
