/** What a person at a terminal sees. */
import { spawn, spawnSync } from 'node:child_process';
import { once } from 'node:events';
import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { afterEach, beforeEach, expect, onTestFinished, test, vi } from 'vitest';
import { terminalText } from './output.ts';
import { FakeApi } from './testing/fake-api.ts';
import { testContext } from './testing/test-context.ts';

const main = fileURLToPath(new URL('main.ts', import.meta.url));
const hasScript = spawnSync('script', ['--version'], { stdio: 'ignore' }).status === 0;
const why = hasScript ? '' : ' (skipped: there is no script of util-linux here)';
let api: FakeApi;
let work: string;

beforeEach(async () => {
  api = await FakeApi.start();
  work = mkdtempSync(join(tmpdir(), 'flotilla-cli-'));
});

afterEach(async () => {
  vi.useRealTimers();
  await api[Symbol.asyncDispose]();
  rmSync(work, { recursive: true });
});

/** The command line on a terminal of its own; `says` resolves when the terminal has shown the text. */
function onTerminal(words: string) {
  const env = {
    ...{ PATH: process.env.PATH ?? '', HOME: work, FLOTILLA_STATE_DIR: work, FLOTILLA_URL: api.url },
    ...{ TERM: 'xterm', NODE: process.execPath, MAIN: main, FLOTILLA_PROFILE: join(work, 'profile.json') },
  };
  const args = ['-qefc', `"$NODE" "$MAIN" ${words}`, '/dev/null'];
  const child = spawn('script', args, {
    env: { ...env, SHELL: '/bin/sh' },
    stdio: ['pipe', 'pipe', 'inherit'],
  });
  onTestFinished(async () => {
    if (child.exitCode !== null || child.signalCode !== null) return;
    child.kill('SIGKILL');
    await once(child, 'exit');
  });
  let shown = '';
  child.stdout.setEncoding('utf8').on('data', (text) => {
    shown += text;
  });
  return {
    type: (text: string) => child.stdin.write(text),
    says: async (text: string) => {
      while (!shown.includes(text)) await once(child.stdout, 'data');
    },
    done: once(child, 'close').then(([code]) => ({ code, shown })),
  };
}

test('text of a guest keeps lines and tabs, however it is cut, and loses what a terminal obeys', () => {
  const clean = terminalText();
  const pieces = ['a\tb\r', '\nc\u001b', '[31md\u009b0m\r', 'e\u202ef\r\n', 'ü'];
  expect(pieces.map(clean).join('')).toBe('a\tb\nc\ufffd[31md\ufffd0m\ufffde\ufffdf\nü');
});

test.skipIf(!hasScript)(`the console is harmless on a terminal, and itself with --raw${why}`, async () => {
  api.add('web');
  api.consoleText = 'one\u001b[2Jtwo\n';
  expect((await onTerminal('console web').done).shown).toBe('one\ufffd[2Jtwo\r\n');
  expect((await onTerminal('console web --raw').done).shown).toBe('one\u001b[2Jtwo\r\n');
});

test.skipIf(!hasScript)(`a key is asked for and not shown while it is typed${why}`, async () => {
  const terminal = onTerminal(`profile set --url ${api.url}`);
  await terminal.says(`key for ${api.url}: `);
  terminal.type('hf_wrongg\u007f\u0015hf_secrett\u007f\r');
  const { code, shown } = await terminal.done;
  expect(code).toBe(0);
  expect(shown).not.toContain('secret');
  expect(JSON.parse(readFileSync(join(work, 'profile.json'), 'utf8')).key).toBe('hf_secret');
});

test.skipIf(!hasScript)(`Ctrl-C at the question for a key writes nothing${why}`, async () => {
  const terminal = onTerminal(`profile set --url ${api.url}`);
  await terminal.says('key for ');
  terminal.type('hf_\u0003');
  expect(await terminal.done).toMatchObject({ code: 130, shown: expect.not.stringContaining('wrote') });
});

test.skipIf(!hasScript)(
  `a start shows how long it has taken, and leaves no trace of that${why}`,
  async () => {
    api.add('web', 'stopped');
    const release = api.hold('POST /machines :id start');
    const terminal = onTerminal('start web');
    await terminal.says('starting web 0 s');
    release();
    const { code, shown } = await terminal.done;
    expect(code).toBe(0);
    expect(shown.endsWith('\r\u001b[Kweb\r\n'), JSON.stringify(shown)).toBe(true);
  },
);

test('progress is drawn on a terminal, cut to its width, and erased before anything else is said', async () => {
  vi.useFakeTimers({ toFake: ['setInterval', 'clearInterval', 'performance'] });
  const { context, ended } = testContext({}, { isTTY: true, columns: 21 });
  await context.progress.during(
    () => 'starting a-machine-with-a-long-name',
    async () => {
      vi.advanceTimersByTime(500);
      context.note('note');
      vi.advanceTimersByTime(250);
    },
  );
  const drawn = '\r\u001b[Kstarting a-machine-w';
  expect((await ended()).stderr).toBe(`${drawn}\r\u001b[Knote\n${drawn}\r\u001b[K`);
});

test.each([
  [{}, {}],
  [{ TERM: 'dumb' }, { isTTY: true as const }],
])('nothing is drawn with %j on %j', async (env, terminal) => {
  vi.useFakeTimers({ toFake: ['setInterval', 'clearInterval', 'performance'] });
  const { context, ended } = testContext(env, terminal);
  await context.progress.during(
    () => 'starting',
    async () => vi.advanceTimersByTime(5_000),
  );
  expect((await ended()).stderr).toBe('');
});
