/** A secret that the user hands over: never an argument, which every process on the machine can read. */
import { StringDecoder } from 'node:string_decoder';
import type { Context } from './context.ts';
import { CliError, Interruption } from './errors.ts';
import { exitCodes } from './exit-codes.ts';
import { isTerminal } from './progress.ts';

/** What node calls a terminal to read from. */
interface Terminal {
  setRawMode(isRaw: boolean): unknown;
}

const secretBytesMax = 4096;

/**
 * From a terminal, what is typed on one line without being shown, after `prompt`; else, with `isPiped`, all of stdin
 * without the white space around it. Throws CliError when there is no secret.
 */
export async function readSecret(context: Context, prompt: string, isPiped: boolean): Promise<string> {
  const { stdin } = context.streams;
  if (!isTerminal(stdin) && !isPiped) {
    const hint = 'give it on stdin with --key-stdin: flotilla profile set --url URL --key-stdin <FILE';
    throw new CliError('there is no terminal to ask for the key', { hint, exitCode: exitCodes.usage });
  }
  const onAbort = () => stdin.destroy();
  context.signal.addEventListener('abort', onAbort, { once: true });
  try {
    const secret = isTerminal(stdin) ? await typedLine(context, prompt) : await wholeInput(context);
    context.signal.throwIfAborted();
    return secret.trim();
  } finally {
    context.signal.removeEventListener('abort', onAbort);
  }
}

async function wholeInput({ streams, signal }: Context): Promise<string> {
  let text = '';
  try {
    for await (const chunk of streams.stdin) {
      text += String(chunk);
      if (text.length > secretBytesMax) {
        throw new CliError('what came on stdin is too long for a key', { exitCode: exitCodes.usage });
      }
    }
  } catch (error) {
    throw signal.aborted ? signal.reason : error;
  }
  return text;
}

/** In raw mode the terminal shows nothing, and its control characters are ours to obey. */
async function typedLine({ streams, signal }: Context, prompt: string): Promise<string> {
  const { stdin, stderr } = streams;
  const terminal = stdin as typeof stdin & Terminal;
  const decoder = new StringDecoder('utf8');
  let typed = '';
  terminal.setRawMode(true);
  // Whoever answers sooner than asked would see it.
  stderr.write(prompt);
  try {
    for await (const chunk of stdin.iterator({ destroyOnReturn: false })) {
      for (const character of decoder.write(chunk as Buffer)) {
        if (character === '\r' || character === '\n' || character === '\u0004') return typed;
        if (character === '\u0003') throw new Interruption('INT');
        if (character === '\u007f' || character === '\b') typed = typed.slice(0, -1);
        else if (character === '\u0015') typed = '';
        else if (typed.length < secretBytesMax) typed += character;
      }
    }
    return typed;
  } catch (error) {
    throw signal.aborted ? signal.reason : error;
  } finally {
    if (!stdin.destroyed) terminal.setRawMode(false);
    stderr.write('\n');
  }
}
