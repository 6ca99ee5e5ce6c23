/** Joins a channel of `ssh -L` or `ssh -W` with a connection to a program in the guest. Each direction ends by itself. */
import { once } from 'node:events';
import { type Duplex, finished } from 'node:stream';
import { abortable } from '../lib/abort.ts';
import type { WireChannel } from './wire-channel.ts';

/** Resolves when both directions have ended, or either end is gone. */
export async function join(wire: WireChannel, program: Duplex): Promise<void> {
  const onClose = () => program.destroy();
  wire.signal.addEventListener('abort', onClose, { once: true });
  if (wire.signal.aborted) program.destroy();
  finished(program, (error) => error && wire.close());
  try {
    await Promise.all([toClient(wire, program), toProgram(wire, program)]);
    wire.close();
  } finally {
    wire.signal.removeEventListener('abort', onClose);
    program.destroy();
    wire.close();
  }
}

async function toClient(wire: WireChannel, program: Duplex): Promise<void> {
  for await (const piece of program.iterator({ destroyOnReturn: false })) await wire.write('stdout', piece);
  wire.endOutput();
}

async function toProgram(wire: WireChannel, program: Duplex): Promise<void> {
  for (;;) {
    const piece = await wire.read();
    if (piece === null) break;
    if (!program.write(piece)) await abortable(once(program, 'drain'), wire.signal);
  }
  program.end();
}
