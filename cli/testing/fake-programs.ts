/** What the fake daemon's machines can run; the first word of the command chooses. */
import { createHash } from 'node:crypto';
import { once } from 'node:events';
import type { ServerResponse } from 'node:http';

const chunkBytes = 64 * 1024;

/** Every byte value, in an order that no line or character boundary follows. */
function* bytesOf(total: number): Generator<Buffer> {
  const chunk = Buffer.alloc(chunkBytes);
  for (let at = 0; at < total; at += chunkBytes) {
    for (let index = 0; index < chunkBytes; index++) chunk[index] = (at / chunkBytes + index * 7) & 0xff;
    yield chunk.subarray(0, Math.min(chunkBytes, total - at));
  }
}

export function sha256OfBytes(total: number): string {
  const hash = createHash('sha256');
  for (const chunk of bytesOf(total)) hash.update(chunk);
  return hash.digest('hex');
}

/** Writes the events of one run to `response` and ends it as the program does; `hang` and `yes` never end. */
export async function runProgram(
  request: Readonly<Record<string, unknown>>,
  response: ServerResponse,
): Promise<void> {
  const [program, argument = '', second = ''] = request.command as string[];
  const offsets = { stdout: 0, stderr: 0 };
  const emit = async (type: 'stdout' | 'stderr', data: Uint8Array) => {
    const event = { type, offset: offsets[type], data: Buffer.from(data).toString('base64') };
    offsets[type] += data.length;
    if (!response.write(`${JSON.stringify(event)}\n`)) {
      const either = new AbortController();
      const { signal } = either;
      await Promise.race([once(response, 'drain', { signal }), once(response, 'close', { signal })]);
      either.abort();
    }
  };
  const finish = (outcome: Readonly<Record<string, unknown>>) => {
    response.end(`${JSON.stringify({ type: 'outcome', ...outcome })}\n`);
  };
  const exit = (code: number) => finish({ outcome: 'exited', exit_code: code });
  switch (program) {
    case 'print':
      await emit('stdout', Buffer.from(argument));
      return exit(0);
    case 'both':
      await emit('stdout', Buffer.from([0xff, 0x00, 0x0d, 0x0a]));
      await emit('stderr', Buffer.from([0xfe, 0x1b]));
      return exit(0);
    case 'bytes':
      for (const chunk of bytesOf(Number(argument))) await emit('stdout', chunk);
      return exit(0);
    case 'yes':
      while (!response.destroyed) await emit('stdout', Buffer.alloc(chunkBytes, 'y\n'));
      return;
    case 'cat':
      await emit('stdout', Buffer.from(String(request.stdin ?? ''), 'base64'));
      return exit(0);
    case 'show':
      await emit('stdout', Buffer.from(JSON.stringify(request)));
      return exit(0);
    case 'hang':
      return await emit('stdout', Buffer.from('ready\n'));
    case 'exit':
      return exit(Number(argument));
    case 'signal':
      return finish({ outcome: 'signalled', signal: argument, exit_code: Number(second) });
    case 'timeout':
      return finish({ outcome: 'timed_out' });
    case 'break':
      return void response.write('\n', () => response.destroy());
    case 'lost':
      return finish({ outcome: 'unknown', reason: 'the guest went\u001b[2J away' });
    default:
      response.end();
  }
}
