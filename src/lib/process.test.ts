import { Readable } from 'node:stream';
import { describe, expect, it } from 'vitest';
import { ProcessError, run } from './process.ts';

const timeoutMs = 10_000;

describe('a stream as standard input', () => {
  it('reaches the program whole', async () => {
    const stdin = Readable.from(Array.from({ length: 100 }, () => Buffer.alloc(10_000, 'a')));
    expect((await run('wc', ['-c'], { stdin, timeoutMs })).stdout.trim()).toBe('1000000');
  });

  it('that fails ends the program, and its error is the reason', async () => {
    const stdin = Readable.from(
      (async function* () {
        yield Buffer.from('x');
        throw new Error('the source broke');
      })(),
    );
    await expect(run('cat', [], { stdin, timeoutMs })).rejects.toThrow('the source broke');
  });

  it('is destroyed when the program ends without it', async () => {
    const stdin = new Readable({ read: () => undefined });
    await run('true', [], { stdin, timeoutMs });
    expect(stdin.destroyed).toBe(true);
    const failed = new Readable({ read: () => undefined });
    await expect(run('false', [], { stdin: failed, timeoutMs })).rejects.toBeInstanceOf(ProcessError);
    expect(failed.destroyed).toBe(true);
  });
});
