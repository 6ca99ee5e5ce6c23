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
function onTerminal(words: string, before = '', after = '') {
  const env = {
    ...{ PATH: process.env.PATH ?? '', HOME: work, FLOTILLA_STATE_DIR: work, FLOTILLA_URL: api.url },
    ...{ TERM: 'xterm', NODE: process.execPath, MAIN: main, FLOTILLA_PROFILE: join(work, 'profile.json') },
  };
  const args = ['-qefc', `${before}"$NODE" "$MAIN" ${words}${after}`, '/dev/null'];
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

const shown = (text: string) => JSON.stringify(text);

test.skipIf(!hasScript)(
  `exec -it gives the command this terminal and exits with its code${why}`,
  async () => {
    api.add('web');
    const terminal = onTerminal('exec -it -e A=1 web shell', 'stty rows 30 cols 100; ');
    await terminal.says('30x100\r\n$ ');
    terminal.type('ls\u0003\u001a');
    await terminal.says('ls\u0003\u001a');
    terminal.type('exit 42\r');
    const { code, shown: text } = await terminal.done;
    expect(code, shown(text)).toBe(42);
    const [started] = api.log.filter((entry) => entry.startsWith('started '));
    expect(JSON.parse(started?.slice(8) ?? '')).toMatchObject({
      ...{ env: { A: '1', TERM: 'xterm' }, stdin_open: true },
      tty: { rows: 30, columns: 100 },
    });
  },
);

test.skipIf(!hasScript)(`ctrl-p ctrl-q leaves the command, and attach comes back to it${why}`, async () => {
  api.add('web');
  const first = onTerminal('exec -it web shell', '', '; stty -a | grep -o " -*icanon"');
  await first.says('$ ');
  const [exec] = api.execs.all;
  if (exec !== undefined) api.execs.print(exec, '\u001b[?1049h\u001b[?25lediting');
  await first.says('editing');
  first.type('\u0010\u0011');
  const left = await first.done;
  expect(left.shown, shown(left.shown)).toContain('editing\u001b[?25h\u001b[?1049l\r\n');
  expect(left.shown).toContain(`attach again with: flotilla attach web ${exec?.id}\r\n`);
  expect(left.shown).toMatch(/ icanon\r\n$/);
  const again = onTerminal('attach --detach-keys ctrl-a web');
  await again.says('[25x80][24x80]');
  again.type('\u0010\u0011exit 7\r');
  const { code, shown: text } = await again.done;
  expect(code).toBe(7);
  expect(text.startsWith('\u001b[?1049h\u001b[?25l[25x80]'), shown(text)).toBe(true);
});

test.skipIf(!hasScript)(`a daemon that is lost meanwhile is attached to again${why}`, async () => {
  api.add('web');
  const terminal = onTerminal('exec -it web shell', '', '; stty -a | grep -o " -*icanon"');
  await terminal.says('$ ');
  api.dropConnections();
  await terminal.says('[the daemon cannot be reached; trying again]');
  await terminal.says('[25x80][24x80]');
  terminal.type('exit 3\r');
  expect((await terminal.done).shown).toMatch(/exit 3\r icanon\r\n$/);
});

test.skipIf(!hasScript)(`however a session ends, the terminal is as before${why}`, async () => {
  api.add('web');
  const terminal = onTerminal('exec -it web shell', '', '; echo code $?; stty -a | grep -o " -*icanon"');
  await terminal.says('$ ');
  const [exec] = api.execs.all;
  if (exec !== undefined) api.execs.end(exec, { outcome: 'unknown', reason: 'the machine has stopped' });
  expect((await terminal.done).shown).toMatch(
    /error: The command’s outcome is unknown: the machine has stopped\r\ncode 125\r\n icanon\r\n$/,
  );
});

test.skipIf(!hasScript)(
  `a signal ends the session, and the command learns that its terminal is gone${why}`,
  async () => {
    api.add('web');
    const pid = join(work, 'pid');
    const terminal = onTerminal(
      'exec -it web shell & echo $! >"$HOME/pid"; fg',
      'set -m; ',
      '; stty -a | grep -o " -*icanon"',
    );
    await terminal.says('$ ');
    process.kill(Number(readFileSync(pid, 'utf8')), 'SIGTERM');
    expect((await terminal.done).shown).toMatch(/ icanon\r\n$/);
    expect(api.log).toContain('signal exec00000000 {"signal":"HUP"}');
  },
);

test.skipIf(!hasScript)(
  `watching a terminal without keys is ended by Ctrl-C, and the command runs on${why}`,
  async () => {
    api.add('web');
    const exec = api.execs.start({ command: ['shell'], tty: { rows: 24, columns: 80 }, stdin_open: true });
    const terminal = onTerminal('attach --no-stdin web');
    await terminal.says('$ ');
    terminal.type('\u0003');
    const { code, shown: text } = await terminal.done;
    expect(code).toBe(130);
    expect(text).toContain(
      `Command ${exec.id} runs on; attach again with: flotilla attach web ${exec.id}\r\n`,
    );
    expect(api.log.filter((entry) => entry.startsWith('signal '))).toEqual([]);
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
