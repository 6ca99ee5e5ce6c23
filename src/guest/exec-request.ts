/** Encodes the request of a command for protocol 2 and protocol 1. */
import { AppError } from '../core/errors.ts';
import type { ExecRequest } from '../core/ports/guest.ts';
import type { CommandRequest } from '../core/ports/guest-commands.ts';
import type { LoggedRequest } from '../core/ports/guest-logged.ts';
import { encodeLine } from './lines.ts';
import { specBytesMax, wordBytesMax } from './protocol.ts';

/** How much of a variable's name an error shows. */
const nameCharactersShown = 64;

/** The common part of all kinds of request. */
type Program = Pick<CommandRequest, 'argv' | 'env' | 'cwd' | 'user' | 'timeoutMs'>;

/** The line of `start` and the bytes after it; raises `invalid` for an impossible request. */
export function encodeStart(request: CommandRequest, isOwned: boolean): Buffer {
  checkProgram(request);
  const { id, argv, env = {}, cwd, user, timeoutMs, hasStdin, terminal, bufferBytes, isHeld } = request;
  if (timeoutMs === undefined && !isOwned) throw noTimeLimit();
  const spec = encodeSpec(argv, env);
  const line = encodeLine({
    call: 'start',
    command: id,
    argc: argv.length,
    spec_bytes: spec.length,
    ...(cwd === undefined ? {} : { cwd }),
    ...(user === undefined ? {} : { user }),
    timeout_ms: timeoutMs ?? 0,
    has_stdin: hasStdin ?? false,
    ...(terminal === undefined ? {} : { terminal }),
    owned: isOwned,
    ...(bufferBytes === undefined ? {} : { buffer_bytes: bufferBytes }),
    ...(isHeld ? { held: true } : {}),
  });
  return Buffer.concat([line, spec]);
}

/** The line of `start_logged` and the bytes after it; raises `invalid` for an impossible request. */
export function encodeStartLogged(id: string, request: LoggedRequest): Buffer {
  checkProgram(request);
  const { argv, env = {}, cwd, user, log, outputBytesMax, isDetached = false } = request;
  const spec = encodeSpec(argv, env);
  const line = encodeLine({
    call: 'start_logged',
    command: id,
    argc: argv.length,
    spec_bytes: spec.length,
    ...(cwd === undefined ? {} : { cwd }),
    ...(user === undefined ? {} : { user }),
    log_name: log.name,
    log_directories: log.directories,
    output_bytes_max: outputBytesMax,
    detached: isDetached,
  });
  return Buffer.concat([line, spec]);
}

function encodeSpec(argv: readonly string[], env: Readonly<Record<string, string>>): Buffer {
  const words = [...argv, ...Object.entries(env).map(([name, value]) => `${name}=${value}`)];
  return Buffer.from(words.map((word) => `${word}\0`).join(''));
}

/** The line of protocol 1's `exec`, which contains the whole request. */
export function encodeExecV1(request: ExecRequest): Buffer {
  checkProgram(request);
  const { argv, env = {}, cwd, user, timeoutMs, stdin } = request;
  return encodeLine({
    call: 'exec',
    argv,
    env,
    ...(cwd === undefined ? {} : { cwd }),
    ...(user === undefined ? {} : { user }),
    timeout_ms: timeoutMs,
    has_stdin: stdin !== undefined,
  });
}

/** Raises `invalid` for what no guest could run, and for text that would reach the guest as other bytes. */
export function checkProgram({ argv, env = {}, cwd, user, timeoutMs }: Program): void {
  if (argv.length === 0 || argv[0] === '') throw new AppError('invalid', 'exec needs a program to run');
  if (Object.keys(env).some((name) => name === '' || name.includes('=')))
    throw new AppError('invalid', 'an environment variable needs a name without "="');
  const variables = Object.entries(env).map(([name, value]) => `${name}=${value}`);
  const words = [...argv, ...variables];
  for (const word of [...words, cwd ?? '', user ?? '']) {
    if (word.includes('\0')) throw new AppError('invalid', 'exec takes no NUL bytes');
    if (!word.isWellFormed())
      throw new AppError('invalid', 'exec takes no half of a surrogate pair, which is no character');
  }
  checkSize(words, argv.length);
  if (timeoutMs !== undefined && (!Number.isSafeInteger(timeoutMs) || timeoutMs <= 0)) throw noTimeLimit();
}

function checkSize(words: readonly string[], argc: number): void {
  let total = 0;
  for (const [index, word] of words.entries()) {
    const bytes = Buffer.byteLength(word);
    // With its NUL byte.
    total += bytes + 1;
    if (bytes <= wordBytesMax) continue;
    const what =
      index < argc
        ? `argument ${index}`
        : `the environment variable ${word.slice(0, Math.min(word.indexOf('='), nameCharactersShown))} with its value`;
    throw new AppError('invalid', `${what} is ${bytes} bytes long; a kernel takes at most ${wordBytesMax}`, {
      hint: 'Larger input can go through standard input.',
    });
  }
  if (total > specBytesMax)
    throw new AppError(
      'invalid',
      `arguments and environment are ${total} bytes long; a kernel takes at most ${specBytesMax}`,
      { hint: 'Larger input can go through standard input.' },
    );
}

function noTimeLimit(): AppError {
  return new AppError('invalid', 'exec needs a time limit of at least one millisecond');
}
