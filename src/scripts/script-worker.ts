/**
 * The program of a script's thread: gives one script to a fresh instance of the WebAssembly module, answers
 * once, and ends. The instance can print, and nothing else.
 */
import { parentPort, workerData } from 'node:worker_threads';
import { PrintedText } from './printed-text.ts';
import type { ScriptAnswer, ScriptThreadData } from './script-protocol.ts';

interface EngineExports {
  readonly memory: WebAssembly.Memory;
  allocate(bytes: number): number;
  /** Returns the answer's address in the upper half and its length in the lower. */
  run(address: number, bytes: number): bigint;
}

/** Thrown through the module, which cannot continue. */
class OutOfMemory extends Error {}

function run({ module, request, printed }: ScriptThreadData): ScriptAnswer {
  const text = new PrintedText(printed);
  const imports = {
    print: (address: number, bytes: number) => text.add(view(address, bytes)),
    out_of_memory: () => {
      throw new OutOfMemory();
    },
  };
  const { exports } = new WebAssembly.Instance(module, { host: imports });
  const engine = exports as unknown as EngineExports;
  // Made anew each time, because memory that grows gets another buffer.
  const view = (address: number, bytes: number) => new Uint8Array(engine.memory.buffer, address, bytes);
  try {
    const source = new TextEncoder().encode(request);
    const address = engine.allocate(source.length);
    view(address, source.length).set(source);
    const packed = engine.run(address, source.length);
    const answer = view(Number(packed >> 32n), Number(packed & 0xffff_ffffn));
    return JSON.parse(new TextDecoder().decode(answer), exactNumber) as ScriptAnswer;
  } catch (error) {
    return { error: { kind: 'limit', message: limitBehind(error), line: null, column: null } };
  }
}

/** An integer that JavaScript would round is given as text. */
function exactNumber(_key: string, value: unknown, context?: { readonly source?: string }): unknown {
  const isRounded = typeof value === 'number' && Number.isInteger(value) && !Number.isSafeInteger(value);
  return isRounded && /^-?\d+$/.test(context?.source ?? '') ? context?.source : value;
}

/** The limit that ended the module from outside. Anything else is a fault of the engine, and is thrown. */
function limitBehind(error: unknown): string {
  if (error instanceof OutOfMemory) return 'The script uses more memory than it may';
  const isStack = error instanceof RangeError || /out of bounds/.test(String(error));
  if (isStack) return 'The script or one of its values nests too deeply';
  throw error;
}

parentPort?.postMessage(run(workerData as ScriptThreadData));
