/**
 * A real PostgreSQL for tests: a cluster in a temporary directory, reachable only through a unix socket in
 * it.
 */
import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdtemp, readdir, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { Client } from 'pg';
import { abortable, deadline } from '../../src/lib/abort.ts';
import { run } from '../../src/lib/process.ts';

export interface PostgresOptions {
  /** False turns off syncing, which is faster; data may be lost when the host crashes. Default false. */
  readonly isDurable?: boolean;
}

export interface PostgresServer {
  /** Makes an empty database, or a copy of `template`, and returns its URL, which contains a password. */
  createDatabase(template?: string): Promise<string>;
  /** Runs SQL as the superuser in the database that the URL names. */
  query<R extends object>(url: string, sql: string): Promise<readonly R[]>;
  /** Kills the server and starts it again. */
  crash(): Promise<void>;
  /** Stops the server and removes its directory. */
  stop(): Promise<void>;
}

const programsRoot = '/usr/lib/postgresql';
const user = 'flotilla';
export const postgresPassword = 'pass-w0rd-of-the-tests';

/** Fails with a hint when PostgreSQL is not installed. */
export async function startPostgres(options: PostgresOptions = {}): Promise<PostgresServer> {
  const programs = await findPrograms();
  // Short: the socket's path must fit in 107 bytes.
  const directory = await mkdtemp(join(tmpdir(), 'pg-'));
  try {
    await initialise(programs, directory);
    let server = await launch(programs, directory, options.isDurable ?? false);
    let databaseCount = 0;
    const urlOf = (name: string) =>
      `postgresql://${user}:${postgresPassword}@/${name}?host=${encodeURIComponent(directory)}`;
    return {
      async createDatabase(template) {
        databaseCount += 1;
        const name = `test${databaseCount}`;
        const source = template === undefined ? 'template0' : databaseName(template);
        await query(urlOf('postgres'), `create database ${name} template ${source}`);
        return urlOf(name);
      },
      query,
      async crash() {
        await end(server, 'SIGQUIT');
        server = await launch(programs, directory, options.isDurable ?? false);
      },
      async stop() {
        await end(server, 'SIGINT');
        await rm(directory, { recursive: true });
      },
    };
  } catch (error) {
    await rm(directory, { recursive: true, force: true });
    throw error;
  }
}

async function findPrograms(): Promise<string> {
  const versions = await readdir(programsRoot).catch(() => []);
  const newest = versions.sort((a, b) => Number(b) - Number(a))[0];
  if (newest === undefined)
    throw new Error('PostgreSQL is not installed; run scripts/postgres-for-tests.sh, then the tests again');
  return join(programsRoot, newest, 'bin');
}

/** Uses a language's collation, because databases differ most in how they sort text. */
async function initialise(programs: string, directory: string): Promise<void> {
  const passwordFile = join(directory, 'password');
  await writeFile(passwordFile, postgresPassword);
  const { argv: prefix, owner } = unprivileged();
  if (owner !== null) await run('chown', ['-R', owner, directory], { timeoutMs: 10_000 });
  const locale = ['--encoding=UTF8', '--locale=C.UTF-8', '--locale-provider=icu', '--icu-locale=en-US'];
  const login = [`--username=${user}`, '--auth=scram-sha-256', `--pwfile=${passwordFile}`];
  const initdb = [join(programs, 'initdb'), '-D', join(directory, 'data'), '--no-sync', ...locale, ...login];
  const [command = '', ...args] = [...prefix, ...initdb];
  await run(command, args, { timeoutMs: 60_000, cwd: directory });
}

/** PostgreSQL refuses to run as root. It is killed when the test's process ends, whatever the cause. */
function unprivileged(): { readonly argv: readonly string[]; readonly owner: string | null } {
  const isRoot = process.getuid?.() === 0;
  const ids = isRoot ? ['--reuid=postgres', '--regid=postgres', '--clear-groups'] : [];
  return {
    argv: ['setpriv', ...ids, '--pdeathsig=INT', '--'],
    owner: isRoot ? 'postgres:postgres' : null,
  };
}

async function launch(programs: string, directory: string, isDurable: boolean): Promise<ChildProcess> {
  const settings = {
    listen_addresses: '',
    unix_socket_directories: directory,
    fsync: isDurable ? 'on' : 'off',
    full_page_writes: isDurable ? 'on' : 'off',
    autovacuum: 'off',
    shared_buffers: '16MB',
    max_connections: '60',
    lc_messages: 'C',
  };
  const flags = Object.entries(settings).flatMap(([name, value]) => ['-c', `${name}=${value}`]);
  const server = [join(programs, 'postgres'), '-D', join(directory, 'data'), ...flags];
  const [command = '', ...args] = [...unprivileged().argv, ...server];
  const child = spawn(command, args, { stdio: ['ignore', 'ignore', 'pipe'], cwd: directory });
  const { signal, clear } = deadline(60_000, () => new Error('PostgreSQL did not get ready in time'));
  try {
    await abortable(ready(child), signal);
    return child;
  } catch (error) {
    await end(child, 'SIGKILL');
    throw error;
  } finally {
    clear();
  }
}

/** Resolves when the log says so. Keeps reading, because a full pipe would block the server. */
function ready({ stderr }: ChildProcess): Promise<void> {
  const { promise, resolve, reject } = Promise.withResolvers<void>();
  if (stderr === null) throw new Error('the log is not read');
  const lines: string[] = [];
  createInterface(stderr)
    .on('line', (line) => {
      lines.splice(0, lines.length - 20);
      lines.push(line);
      if (line.includes('ready to accept connections')) resolve();
    })
    .on('close', () => reject(new Error(`PostgreSQL ended:\n${lines.join('\n')}`)));
  return promise;
}

async function end(server: ChildProcess, signal: NodeJS.Signals): Promise<void> {
  if (server.exitCode !== null || server.signalCode !== null) return;
  const exited = once(server, 'exit');
  server.kill(signal);
  const late = deadline(30_000, () => new Error('late'));
  try {
    await abortable(exited, late.signal);
  } catch {
    server.kill('SIGKILL');
    await exited;
  } finally {
    late.clear();
  }
}

async function query<R extends object>(url: string, sql: string): Promise<readonly R[]> {
  const client = new Client({ connectionString: url, connectionTimeoutMillis: 10_000 });
  await client.connect();
  try {
    return (await client.query<R>(sql)).rows;
  } finally {
    await client.end();
  }
}

function databaseName(url: string): string {
  const name = /\/(\w+)\?/.exec(url)?.[1];
  if (name === undefined) throw new Error('not a URL of this server');
  return name;
}
