/** Runs fake programs behind the guest's end of a command, for `FakeGuest`. */
import { setTimeout as delay } from 'node:timers/promises';
import { encodeFrame } from '../frames.ts';
import { framePayloadBytesMax, frameTypes } from '../protocol.ts';
import type { YamuxStream } from '../yamux/stream.ts';

/** What a fake program gets instead of a process. */
export interface FakeProcess {
  readonly argv: readonly string[];
  readonly env: Readonly<Record<string, string>>;
  readonly stdin: AsyncIterable<Uint8Array>;
  /** Aborts with the signal's name when one arrives, with `KILL` when the host closes the stream. */
  readonly signalled: AbortSignal;
  stdout(data: Uint8Array | string): Promise<void>;
  stderr(data: Uint8Array | string): Promise<void>;
}

/** Runs one command and returns its exit code. */
export type FakeProgram = (process: FakeProcess) => Promise<number>;

export const runFakeProgram: FakeProgram = async ({ argv, stdin, signalled, stdout, stderr }) => {
  const [program = '', ...words] = argv;
  switch (program.split('/').at(-1)) {
    case 'true':
      return 0;
    case 'false':
      return 1;
    case 'exit':
      return Number(words[0] ?? 0);
    case 'echo':
      await stdout(`${words.join(' ')}\n`);
      return 0;
    case 'cat':
      for await (const chunk of stdin) await stdout(chunk);
      return 0;
    case 'sleep':
      await delay(Number(words[0] ?? 0) * 1000, undefined, { signal: signalled });
      return 0;
    default:
      await stderr(`${program}: not found\n`);
      return 127;
  }
};

export interface FakeExecRequest {
  readonly argv: readonly string[];
  readonly env: Readonly<Record<string, string>>;
  readonly timeoutMs: number;
  readonly hasStdin: boolean;
}

/** Delivers signals to one command. */
export class FakeSignals {
  readonly kill = new AbortController();

  send(signal: string): void {
    this.kill.abort(signal);
  }
}

/** Reads the bytes after the line of a `start`, and returns what follows them. */
export async function readSpec(
  stream: YamuxStream,
  rest: Buffer,
  bytes: number,
): Promise<{ readonly spec: Buffer; readonly received: Buffer }> {
  let all = rest;
  while (all.length < bytes) {
    const chunk = await stream.read();
    if (chunk === null) throw new Error('the arguments did not come');
    all = Buffer.concat([all, chunk]);
  }
  return { spec: all.subarray(0, bytes), received: all.subarray(bytes) };
}

export function parseSpec(spec: Buffer, argc: number): Pick<FakeExecRequest, 'argv' | 'env'> {
  const words = spec.toString().split('\0').slice(0, -1);
  const pairs = words.slice(argc).map((word) => {
    const at = word.indexOf('=');
    return [word.slice(0, at), word.slice(at + 1)] as const;
  });
  return { argv: words.slice(0, argc), env: Object.fromEntries(pairs) };
}

/** The guest's end of a command that is not owned, from its answer to its outcome. */
export async function runFakeExec(
  stream: YamuxStream,
  received: Buffer,
  request: FakeExecRequest,
  { kill }: FakeSignals,
  program: FakeProgram,
): Promise<void> {
  const input = new FakeInput(stream, received, kill);
  const limit = setTimeout(() => kill.abort('timed out'), request.timeoutMs);
  const write = async (type: number, data: Uint8Array | string) => {
    const bytes = Buffer.from(data);
    for (let offset = 0; offset < bytes.length; offset += framePayloadBytesMax)
      await stream.write(encodeFrame(type, bytes.subarray(offset, offset + framePayloadBytesMax)));
  };
  const process: FakeProcess = {
    argv: request.argv,
    env: request.env,
    stdin: request.hasStdin ? input : input.empty(),
    signalled: input.kill.signal,
    stdout: (data) => write(frameTypes.stdout, data),
    stderr: (data) => write(frameTypes.stderr, data),
  };
  try {
    const exitCode = await program(process).catch((error: unknown) => {
      if (input.kill.signal.aborted) return null;
      throw error;
    });
    await stream.write(
      encodeFrame(frameTypes.outcome, Buffer.from(JSON.stringify(outcomeOf(exitCode, input)))),
    );
  } finally {
    clearTimeout(limit);
  }
}

function outcomeOf(exitCode: number | null, input: FakeInput): object {
  if (exitCode !== null) return { outcome: 'exited', exit_code: exitCode };
  const reason: unknown = input.kill.signal.reason;
  return reason === 'timed out' ? { outcome: 'timed_out' } : { outcome: 'signalled', signal: String(reason) };
}

/** Frames from the host; iteration yields standard input. The end of the stream kills the command. */
class FakeInput implements AsyncIterable<Uint8Array> {
  readonly kill: AbortController;
  readonly #queue: Uint8Array[] = [];
  #isEnded = false;
  #wake: () => void = () => undefined;

  constructor(stream: YamuxStream, received: Buffer, kill: AbortController) {
    this.kill = kill;
    this.kill.signal.addEventListener('abort', () => this.#wake(), { once: true });
    this.#pump(stream, received).catch(() => this.kill.abort('KILL'));
  }

  async *[Symbol.asyncIterator](): AsyncGenerator<Uint8Array> {
    for (;;) {
      const chunk = this.#queue.shift();
      if (chunk !== undefined) yield chunk;
      else if (this.#isEnded) return;
      else {
        this.kill.signal.throwIfAborted();
        const { promise, resolve } = Promise.withResolvers<void>();
        this.#wake = resolve;
        await promise;
      }
    }
  }

  async *empty(): AsyncGenerator<Uint8Array> {}

  async #pump(stream: YamuxStream, received: Buffer): Promise<void> {
    let bytes: Buffer = received;
    for (;;) {
      while (bytes.length >= 5 && bytes.length >= 5 + bytes.readUInt32BE(1)) {
        const end = 5 + bytes.readUInt32BE(1);
        this.#onInput(bytes.subarray(5, end));
        bytes = bytes.subarray(end);
      }
      const chunk = await stream.read();
      if (chunk === null) {
        this.kill.abort('KILL');
        return;
      }
      bytes = Buffer.concat([bytes, chunk]);
    }
  }

  #onInput(payload: Buffer): void {
    if (payload.length === 0) this.#isEnded = true;
    else this.#queue.push(payload);
    this.#wake();
  }
}
