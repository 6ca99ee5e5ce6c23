/** Runs OpenSSH's own programs against a gateway, with a directory of their own for keys and known hosts. */
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { appendFile, mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { publicKeyLine, type SshPublicKey } from '../../src/core/ssh/public-key.ts';
import { type CommandResult, runCommand } from './host.ts';

export interface SshPlace {
  readonly port: number;
  readonly hostKey: SshPublicKey;
}

export interface RunOptions {
  readonly input?: Buffer | string;
  /** A file made by `key`; default: none is offered. */
  readonly identity?: string;
  /** Given when the client asks for a password. */
  readonly password?: string;
  readonly options?: readonly string[];
  readonly timeoutMs?: number;
  /** Default: the gateway's. */
  readonly port?: number;
}

export interface OpenSession {
  /** Ends its input; resolves with its exit code. */
  end(): Promise<number | null>;
}

export class SshClients {
  readonly directory: string;
  readonly #port: number;

  private constructor(directory: string, port: number) {
    this.directory = directory;
    this.#port = port;
  }

  static async make({ port, hostKey }: SshPlace): Promise<SshClients> {
    const clients = new SshClients(await mkdtemp(join(tmpdir(), 'f-ssh-')), port);
    await clients.trust({ port, hostKey });
    await writeFile(clients.path('askpass'), '#!/bin/sh\nprintf "%s\\n" "$PASSWORD"\n', { mode: 0o700 });
    return clients;
  }

  /** Trusts the host key at another port, too. */
  async trust({ port, hostKey }: SshPlace): Promise<void> {
    await appendFile(this.path('known_hosts'), `[127.0.0.1]:${port} ${publicKeyLine(hostKey)}\n`);
  }

  path(name: string): string {
    return join(this.directory, name);
  }

  /** Makes a key with ssh-keygen; returns its public half. */
  async key(name: string, type = 'ed25519', args: readonly string[] = []): Promise<string> {
    await this.keygen(['-q', '-t', type, '-N', '', '-C', name, '-f', this.path(name), ...args]);
    return (await readFile(this.path(`${name}.pub`), 'utf8')).trim();
  }

  async keygen(args: readonly string[]): Promise<string> {
    const done = await runCommand('ssh-keygen', args, { env: process.env });
    if (done.exitCode !== 0) throw new Error(done.stderr);
    return done.stdout.toString();
  }

  /** Options for every program of OpenSSH; nothing of the user's own configuration. */
  options({ identity, password }: RunOptions = {}): readonly string[] {
    const methods = password === undefined ? 'publickey' : 'password';
    const settings = [
      `UserKnownHostsFile=${this.path('known_hosts')}`,
      'GlobalKnownHostsFile=/dev/null',
      'StrictHostKeyChecking=yes',
      'IdentitiesOnly=yes',
      `IdentityFile=${identity === undefined ? 'none' : this.path(identity)}`,
      `PreferredAuthentications=${methods}`,
      'NumberOfPasswordPrompts=1',
      'LogLevel=ERROR',
    ];
    return ['-F', '/dev/null', ...settings.flatMap((setting) => ['-o', setting])];
  }

  env({ password }: RunOptions = {}): NodeJS.ProcessEnv {
    const asking = { SSH_ASKPASS: this.path('askpass'), SSH_ASKPASS_REQUIRE: 'force', PASSWORD: password };
    return { ...process.env, SSH_AUTH_SOCK: '', ...(password === undefined ? {} : asking) };
  }

  ssh(login: string, args: readonly string[], run: RunOptions = {}): Promise<CommandResult> {
    const place = ['-p', String(run.port ?? this.#port), ...(run.options ?? []), `${login}@127.0.0.1`];
    return this.run('ssh', [...place, ...args], run);
  }

  /** The words of `ssh` for another program to run it, to the machine or without one. */
  words(run: RunOptions = {}, ...rest: readonly string[]): string {
    const words = ['ssh', ...this.options(run), ...(run.options ?? []), ...rest];
    return words
      .map((word) => (/^[\w@%+=:,./-]+$/.test(word) ? word : `'${word.replaceAll("'", "'\\''")}'`))
      .join(' ');
  }

  /** A session that goes on, until its input ends. Resolves when it has said `ready`, after forwarding was set up. */
  async open(login: string, command: string, run: RunOptions = {}): Promise<OpenSession> {
    const place = ['-p', String(run.port ?? this.#port), ...(run.options ?? []), `${login}@127.0.0.1`];
    const child = spawn('ssh', [...this.options(run), ...place, command], {
      env: this.env(run),
      stdio: ['pipe', 'pipe', 'inherit'],
    });
    const closed = once(child, 'close').then(([code]) => code as number | null);
    const { promise: ready, resolve } = Promise.withResolvers<void>();
    let said = '';
    child.stdout.setEncoding('utf8').on('data', (piece: string) => {
      said += piece;
      if (/^ready$/m.test(said)) resolve();
    });
    const isReady = await Promise.race([ready.then(() => true), closed.then(() => false)]);
    if (!isReady) throw new Error(`the session ended before it was ready: ${said}`);
    return {
      async end() {
        child.stdin.end();
        return closed;
      },
    };
  }

  async run(program: string, args: readonly string[], run: RunOptions = {}): Promise<CommandResult> {
    const child = spawn(program, [...this.options(run), ...args], {
      env: this.env(run),
      stdio: ['pipe', 'pipe', 'pipe'],
    });
    const timer = setTimeout(() => child.kill('SIGKILL'), run.timeoutMs ?? 120_000);
    const stdout: Buffer[] = [];
    const stderr: Buffer[] = [];
    child.stdout.on('data', (piece: Buffer) => stdout.push(piece));
    child.stderr.on('data', (piece: Buffer) => stderr.push(piece));
    // A client that fails does not read its input.
    child.stdin.on('error', () => undefined);
    child.stdin.end(run.input ?? '');
    const { promise, resolve, reject } = Promise.withResolvers<number | null>();
    child.on('error', reject).on('close', resolve);
    const exitCode = await promise.finally(() => clearTimeout(timer));
    return { exitCode, stdout: Buffer.concat(stdout), stderr: Buffer.concat(stderr).toString() };
  }

  close(): Promise<void> {
    return rm(this.directory, { recursive: true });
  }
}
