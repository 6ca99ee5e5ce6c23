/** nginx as a reverse proxy with one worker: what the proxy of Flotilla is compared with. */

import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { access, mkdir, readdir, writeFile } from 'node:fs/promises';
import { connect } from 'node:net';
import { join } from 'node:path';
import { AppError } from '../../src/core/errors.ts';
import { sleep } from '../../src/lib/abort.ts';
import { freePort } from '../../src/lib/free-port.ts';
import { run } from '../../src/lib/process.ts';
import { childEnvironment } from '../../src/setup/context.ts';
import type { Endpoint, Workplace } from '../workplace.ts';

const fetchTimeoutMs = 5 * 60_000;
const startMs = 10_000;
const pollMs = 20;

/** The program: this host's, or Debian's package unpacked below `directory`, which installs and starts nothing. */
async function programOf(directory: string, env: NodeJS.ProcessEnv, signal: AbortSignal): Promise<string> {
  const installed = '/usr/sbin/nginx';
  const isInstalled = await access(installed).then(
    () => true,
    () => false,
  );
  if (isInstalled) return installed;
  const options = { cwd: directory, env: childEnvironment(env), timeoutMs: fetchTimeoutMs, signal };
  try {
    await run('apt-get', ['-q', '-o', 'APT::Sandbox::User=', 'download', 'nginx'], options);
    const [archive = ''] = (await readdir(directory)).filter((name) => name.endsWith('.deb'));
    await run('dpkg-deb', ['-x', archive, '.'], options);
  } catch (error) {
    throw new AppError('unsupported', `nginx cannot be fetched: ${(error as Error).message}`, {
      cause: error,
      hint: 'Install it: apt-get install nginx-light.',
    });
  }
  return join(directory, 'usr/sbin/nginx');
}

/** Passes requests and WebSockets on to `upstream`, over connections that it keeps. */
export async function startNginx(
  workplace: Workplace,
  upstream: Endpoint,
  { env, signal }: { readonly env: NodeJS.ProcessEnv; readonly signal: AbortSignal },
): Promise<Endpoint> {
  const directory = await workplace.directory('nginx');
  const program = await programOf(directory, env, signal);
  const port = await freePort();
  await mkdir(join(directory, 'temp'));
  await writeFile(join(directory, 'nginx.conf'), configuration(directory, upstream, port));
  const child = spawn(
    program,
    ['-p', directory, '-c', join(directory, 'nginx.conf'), '-e', join(directory, 'error.log')],
    {
      stdio: ['ignore', 'ignore', 'inherit'],
      detached: true,
    },
  );
  const exited = once(child, 'exit');
  workplace.defer(async () => {
    child.kill('SIGTERM');
    await exited;
  });
  const endpoint = { host: '127.0.0.1', port };
  const until = performance.now() + startMs;
  while (!(await accepts(endpoint))) {
    if (child.exitCode !== null || performance.now() > until)
      throw new AppError('unavailable', 'nginx did not begin to listen');
    await sleep(pollMs, signal);
  }
  return endpoint;
}

async function accepts({ host, port }: Endpoint): Promise<boolean> {
  const socket = connect({ host, port });
  try {
    await once(socket, 'connect');
    return true;
  } catch {
    return false;
  } finally {
    socket.destroy();
  }
}

function configuration(directory: string, { host, port: to }: Endpoint, port: number): string {
  const temporary = ['client_body', 'proxy', 'fastcgi', 'uwsgi', 'scgi'];
  return `daemon off; worker_processes 1; user root; pid ${directory}/nginx.pid;
events { worker_connections 1024; }
http {
  access_log off; keepalive_requests 100000000;
  ${temporary.map((name) => `${name}_temp_path ${directory}/temp/${name};`).join(' ')}
  upstream programs { server ${host}:${to}; keepalive 32; keepalive_requests 100000000; }
  server {
    listen 127.0.0.1:${port};
    location / {
      proxy_pass http://programs; proxy_http_version 1.1; proxy_set_header Connection "";
      proxy_set_header Host $host; proxy_set_header X-Forwarded-For $proxy_add_x_forwarded_for;
      proxy_set_header X-Forwarded-Proto $scheme; proxy_set_header X-Forwarded-Host $host;
    }
  }
}
`;
}
