/**
 * The scripts in the shells they are for. The names come from the real program, which is run once per kind of name: a process
 * for each line would take most of the time. One line per shell starts it as a user's shell does.
 */
import { execFile, execFileSync } from 'node:child_process';
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { benchNames } from '../bench/bench.ts';
import { catalog } from './catalog.ts';
import { nameKinds } from './completion/model.ts';
import { FakeApi } from './testing/fake-api.ts';
import { runCli } from './testing/run-cli.ts';

let api: FakeApi;
let work: string;
let env: Record<string, string>;

beforeAll(async () => {
  api = await FakeApi.start();
  api.nouns.addSnapshot(api.add('web'), { name: 'before' });
  api.add('worker', 'stopped');
  api.add('$(touch hacked)');
  api.execs.start({ command: ['hang'] });
  api.execs.start({ command: ['hang'] });
  api.nouns.addImage('busybox');
  work = mkdtempSync(join(tmpdir(), 'flotilla-cli-'));
  const main = fileURLToPath(new URL('main.ts', import.meta.url));
  const PATH = `${work}:${process.env.PATH}`;
  env = { PATH, HOME: work, FLOTILLA_URL: api.url, FLOTILLA_PROFILE: '/nonexistent', TERM: 'dumb' };
  writeProgram(join(work, 'real'), `exec '${process.execPath}' '${main}' "$@"`);
  // What it prints for `completion --names KIND --of MACHINE`; fails for what is not prepared below.
  writeProgram(work, `exec cat '${work}'/names/"$3-$([ "$3" != execs ] || echo "$5")"`);
  mkdirSync(join(work, 'names'));
  for (const kind of nameKinds) {
    const of = kind === 'execs' ? 'web' : '';
    const { stdout } = await runCli(['completion', '--names', kind, '--of', of], { env });
    writeFileSync(join(work, 'names', `${kind}-${of}`), stdout);
  }
  for (const shell of ['bash', 'zsh', 'fish']) {
    const { stdout } = await runCli(['completion', shell], { env });
    writeFileSync(join(work, `completion.${shell}`), stdout);
  }
});

afterAll(async () => {
  await api[Symbol.asyncDispose]();
  rmSync(work, { recursive: true });
});

function writeProgram(directory: string, command: string): void {
  mkdirSync(directory, { recursive: true });
  writeFileSync(join(directory, 'flotilla'), `#!/bin/sh\n${command}\n`, { mode: 0o755 });
}

function isInstalled(program: string): boolean {
  try {
    execFileSync(program, ['-c', 'true'], { stdio: 'ignore' });
    return true;
  } catch {
    return false;
  }
}

type Complete = (line: string, path?: string) => Promise<readonly string[]>;

/** As the shell itself would do it, with nothing of it replaced but how the words are shown. */
const shells: Readonly<Record<string, Complete>> = {
  async bash(line, path) {
    const words = splitLikeBash(line);
    const script = [
      'source "$1"',
      'complete -p flotilla | grep -q "^complete -F _flotilla flotilla$" || exit 3',
      `COMP_WORDS=(${words.map((word) => `'${word}'`).join(' ')})`,
      `COMP_CWORD=${words.length - 1}`,
      '_flotilla',
      `printf '%s\\n' "\${COMPREPLY[@]}"`,
    ].join('\n');
    return linesOf('bash', ['--norc', '-c', script, 'bash', join(work, 'completion.bash')], path);
  },
  async zsh(line, path) {
    const script = [
      'compdef() { : }',
      'compadd() { shift; print -l -- "$@" }',
      `_describe() { local name=\${@[-1]}; print -l -- \${\${(P)name}%%:*} }`,
      'source $1',
      `words=(${line
        .split(' ')
        .map((word) => `'${word}'`)
        .join(' ')})`,
      'CURRENT=$#words',
      '_flotilla',
    ].join('\n');
    const offered = await linesOf('zsh', ['-f', '-c', script, 'zsh', join(work, 'completion.zsh')], path);
    // zsh itself chooses among what is offered.
    return offered.filter((word) => word.startsWith(line.split(' ').at(-1) ?? ''));
  },
  async fish(line, path) {
    const script = 'source $argv[1]; complete -C $argv[2]';
    const offered = await linesOf('fish', ['-N', '-c', script, join(work, 'completion.fish'), line], path);
    return offered.map((word) => word.split('\t')[0] ?? '');
  },
};

/** bash ends words at colons and equals signs too. */
function splitLikeBash(line: string): string[] {
  return line.split(' ').flatMap((word) => (word === '' ? [''] : word.split(/([:=])/).filter(Boolean)));
}

async function linesOf(
  program: string,
  args: readonly string[],
  path: string = env.PATH ?? '',
): Promise<readonly string[]> {
  const { stdout } = await promisify(execFile)(program, [...args], {
    env: { ...env, PATH: path },
    cwd: work,
  });
  return stdout.split('\n').filter((line) => line !== '');
}

for (const [shell, complete] of Object.entries(shells)) {
  const isThere = isInstalled(shell);
  const why = isThere ? '' : ` (skipped: there is no ${shell} here)`;

  test.skipIf(!isThere)(`${shell} knows every command${why}`, async () => {
    const names = catalog.flatMap(({ name, aliases }) => [name, ...aliases]);
    expect([...(await complete('flotilla '))].sort()).toEqual(names.sort());
  });

  test.skipIf(!isThere)(`${shell} asks the program on the PATH${why}`, async () => {
    const path = `${join(work, 'real')}:${process.env.PATH}`;
    expect([...(await complete('flotilla execs kill web exec', path))].sort()).toEqual([
      'exec00000000',
      'exec00000001',
    ]);
  });

  test.skipIf(!isThere).each([
    ['flotilla keys ', ['create', 'ls', 'revoke']],
    ['flotilla ops l', ['ls']],
    ['flotilla ls --st', ['--status']],
    ['flotilla ls --status st', ['starting', 'stopped', 'stopping']],
    ['flotilla images import --kernel ', ['host', 'image']],
    ['flotilla start w', ['web', 'worker']],
    ['flotilla start --json web wo', ['worker']],
    ['flotilla console ', ['web', 'worker']],
    ['flotilla attach w', ['web', 'worker']],
    ['flotilla port-forward w', ['web', 'worker']],
    ['flotilla port-forward web ', []],
    ['flotilla attach web ', ['exec00000000', 'exec00000001']],
    ['flotilla execs w', ['wait', 'web', 'worker']],
    ['flotilla execs web ', []],
    ['flotilla execs kill w', ['web', 'worker']],
    ['flotilla execs kill -s INT web exec00000000 e', ['exec00000000', 'exec00000001']],
    ['flotilla operations ls --machine we', ['web']],
    ['flotilla snapshot r', ['restore', 'rm']],
    ['flotilla snapshots create w', ['web', 'worker']],
    ['flotilla snapshot restore b', ['before']],
    ['flotilla create --from-snapshot b', ['before']],
    ['flotilla fork w', ['web', 'worker']],
    ['flotilla run b', ['busybox']],
    ['flotilla run -e A busy', ['busybox']],
    ['flotilla run busybox -- w', []],
    ['flotilla exec web -- --', []],
    ['flotilla bench ', benchNames.toSorted()],
    ['flotilla bench --image bu', ['busybox']],
    ['flotilla down --ma', ['--machines']],
    ['flotilla doctor --', ['--deep', '--help', '--json']],
    ['flotilla setup --re', ['--refresh']],
    ['flotilla serve --ad', ['--adopt-state']],
    ['flotilla ps --so', ['--sort']],
    ['flotilla update we', ['web']],
    ['flotilla create --restart on', ['on-failure']],
    ['flotilla keys create --scope m', ['machines:exec', 'machines:read', 'machines:write']],
  ])(`${shell}: %j is completed${why}`, async (line, expected) => {
    const words = await complete(line as string);
    expect([...words].sort()).toEqual(expected);
  });
}

test('bash replaces only what follows a colon or an equals sign', async () => {
  const { bash } = shells;
  expect(await bash?.('flotilla keys create --scope machines:r')).toEqual(['read']);
  expect(await bash?.('flotilla ls --status=ru')).toEqual(['running']);
});

test('without a daemon nothing is offered and nothing is said', async () => {
  const result = await runCli(['completion', '--names', 'machines'], {
    env: { FLOTILLA_URL: 'http://127.0.0.1:9' },
  });
  expect(result).toEqual({ code: 1, stdout: Buffer.alloc(0), stderr: '' });
});

test('a daemon that does not answer is not waited for', async () => {
  await using silent = await FakeApi.start();
  silent.hold('GET /machines');
  const result = await runCli(['completion', '--names', 'machines'], { env: { FLOTILLA_URL: silent.url } });
  expect(result).toEqual({ code: 1, stdout: Buffer.alloc(0), stderr: '' });
});

test('names that a shell would have to quote are left out', async () => {
  const { stdout } = await runCli(['completion', '--names', 'machines'], { env });
  expect(stdout.toString()).toBe('web\nworker\n');
});

test.each([[[]], [['tcsh']]])('completion %j is a usage error', async (words) => {
  expect(await runCli(['completion', ...words])).toMatchObject({
    code: 2,
    stderr: expect.stringContaining('bash, zsh, fish'),
  });
});
