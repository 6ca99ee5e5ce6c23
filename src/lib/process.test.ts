import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { readFile } from 'node:fs/promises';
import { Readable } from 'node:stream';
import { describe, expect, it, vi } from 'vitest';
import { ProcessError, run } from './process.ts';
import { readProcessStat } from './procfs.ts';

const timeoutMs = 10_000;

describe('a program that is bound to us', () => {
  it('ends when the process that started it is killed', async () => {
    const script = `
      import { run } from ${JSON.stringify(new URL('process.ts', import.meta.url).href)};
      run('sleep', ['1000'], { timeoutMs: 600_000, isBoundToUs: true });
      process.stdout.write('started\\n');`;
    const parent = spawn(process.execPath, ['--input-type=module', '--eval', script], { stdio: 'pipe' });
    await once(parent.stdout, 'data');
    const sleeper = () =>
      readFile(`/proc/${parent.pid}/task/${parent.pid}/children`, 'utf8').then((text) => Number(text.trim()));
    const nameOf = (pid: number) => readFile(`/proc/${pid}/comm`, 'utf8').catch(() => '');
    const pid = await sleeper();
    expect(pid).toBeGreaterThan(0);
    await vi.waitUntil(async () => (await nameOf(pid)) === 'sleep\n');
    parent.kill('SIGKILL');
    await once(parent, 'close');
    await vi.waitUntil(async () => readProcessStat(pid) === null || readProcessStat(pid)?.state === 'Z');
  });

  it('returns output and reports a missing program like an unbound one', async () => {
    const options = { timeoutMs, isBoundToUs: true };
    expect(await run('echo', ['hello'], options)).toMatchObject({ stdout: 'hello\n' });
    await expect(run('no-such-program', [], options)).rejects.toMatchObject({
      command: 'no-such-program',
      isMissing: true,
    });
  });
});

describe('a descendant that left the process group and keeps the output open', () => {
  // `setsid -f` forks, leaves the group, and keeps standard output open.
  const orphan = 'setsid -f sh -c "echo \\$\\$ >&2; exec sleep 1000"; echo done';

  it.each([
    ['ends well', orphan, timeoutMs],
    ['is killed at its deadline', `${orphan}; exec sleep 1000`, 500],
  ])('does not delay the result of a program that %s', async (_, script, limitMs) => {
    const outcome = await run('sh', ['-c', script], { timeoutMs: limitMs }).catch(
      (error: ProcessError) => error,
    );
    const pid = Number(/^\d+/.exec(outcome.stderr)?.[0]);
    try {
      if (outcome instanceof ProcessError) expect(outcome.isTimeout).toBe(true);
      else expect(outcome.stdout).toBe('done\n');
      expect(readProcessStat(pid)).not.toBeNull();
    } finally {
      process.kill(pid, 'SIGKILL');
    }
  });
});

describe('a stream as standard input', () => {
  it('reaches the program completely', async () => {
    const stdin = Readable.from(Array.from({ length: 100 }, () => Buffer.alloc(10_000, 'a')));
    expect((await run('wc', ['-c'], { stdin, timeoutMs })).stdout.trim()).toBe('1000000');
  });

  it('that fails kills the program and rejects with the stream’s error', async () => {
    const stdin = Readable.from(
      (async function* () {
        yield Buffer.from('x');
        throw new Error('the source broke');
      })(),
    );
    await expect(run('cat', [], { stdin, timeoutMs })).rejects.toThrow('the source broke');
  });

  it('is destroyed when the program exits without reading it', async () => {
    const stdin = new Readable({ read: () => undefined });
    await run('true', [], { stdin, timeoutMs });
    expect(stdin.destroyed).toBe(true);
    const failed = new Readable({ read: () => undefined });
    await expect(run('false', [], { stdin: failed, timeoutMs })).rejects.toBeInstanceOf(ProcessError);
    expect(failed.destroyed).toBe(true);
  });
});
