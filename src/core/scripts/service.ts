/**
 * Runs scripts for a machine: those of a guest's languages as commands in it, Rhai scripts on the host in a
 * sandbox. A script that fails or runs out of time is a result; errors mean that it could not be run, or that
 * nobody knows how it ended.
 */
import { shortId } from '../../lib/ids.ts';
import { AppError } from '../errors.ts';
import type { MachineService } from '../machines/service.ts';
import type { Clock } from '../ports/clock.ts';
import type { ExecOutcome, ExecRequest, ExecSession } from '../ports/guest.ts';
import type { ScriptEngine, ScriptFailure, ScriptValue } from '../ports/scripts.ts';
import { CappedText } from './capped-text.ts';

/** How a script of each language is started in the guest; the script follows as the last argument. */
const interpreters = {
  sh: ['sh', '-c'],
  bash: ['bash', '-c'],
  python: ['python3', '-c'],
  node: ['node', '-e'],
} as const;
export type GuestLanguage = keyof typeof interpreters;

export const scriptLanguages = ['rhai', ...(Object.keys(interpreters) as GuestLanguage[])] as const;
export type ScriptLanguage = 'rhai' | GuestLanguage;

/** Limit of each stream of a result; the rest is dropped. */
export const scriptOutputBytesMax = 1024 * 1024;
/** Linux takes arguments of up to 128 KiB with the NUL byte. */
const guestCodeBytesMax = 131_071;
const rhaiCodeBytesMax = 1024 * 1024;
/** HyperMachine's own limits of a script. */
const rhaiLimits = { operationsMax: 100_000, stringBytesMax: 1024 * 1024 };

export interface ScriptOrder {
  readonly language: ScriptLanguage;
  readonly code: string;
  readonly timeoutMs: number;
  /** Constants of a Rhai script. */
  readonly scope: Readonly<Record<string, ScriptValue>>;
  /** Functions that a Rhai script may call, with what they return. */
  readonly functions?: Readonly<Record<string, ScriptValue>>;
}

export interface ScriptRun {
  readonly id: string;
  readonly status: 'completed' | 'failed' | 'timeout';
  /** The value of a Rhai script's last expression; null for scripts in the guest. */
  readonly result: ScriptValue;
  readonly stdout: string;
  readonly stderr: string;
  readonly isTruncated: boolean;
  /** Of a Rhai script, 0 or 1; null when a signal ended it or time ran out. */
  readonly exitCode: number | null;
  /** The signal that ended it in the guest, without `SIG`. */
  readonly signal: string | null;
  /** Why it did not complete. */
  readonly error: string | null;
  readonly durationMs: number;
}

/** How a command in a guest ended. */
export type CommandRun = Omit<ScriptRun, 'id' | 'result'>;

type Ended = Omit<ScriptRun, 'id' | 'durationMs'>;

export interface ScriptServiceDeps {
  readonly machines: Pick<MachineService, 'exec' | 'get'>;
  /** Null: this daemon runs no Rhai scripts. */
  readonly engine: ScriptEngine | null;
  readonly clock: Clock;
}

export class ScriptService {
  readonly #deps: ScriptServiceDeps;

  constructor(deps: ScriptServiceDeps) {
    this.#deps = deps;
  }

  /**
   * Raises `not_found`, `invalid` (code too long), `conflict` (the guest does not run), `unsupported` (no Rhai
   * here), and the errors of `GuestLink.exec` and `ScriptEngine.run`.
   */
  async run(tenant: string, idOrName: string, order: ScriptOrder, signal: AbortSignal): Promise<ScriptRun> {
    const { clock } = this.#deps;
    const { language } = order;
    checkCode(order);
    const begunMs = clock.elapsedMs();
    const ended =
      language === 'rhai'
        ? await this.#onHost(tenant, idOrName, order, signal)
        : await this.#inGuest(tenant, idOrName, { ...order, language }, signal);
    return { id: shortId(), ...ended, durationMs: Math.round(clock.elapsedMs() - begunMs) };
  }

  async #onHost(tenant: string, idOrName: string, order: ScriptOrder, signal: AbortSignal): Promise<Ended> {
    const { engine, machines } = this.#deps;
    await machines.get(tenant, idOrName);
    if (engine === null) {
      throw new AppError('unsupported', 'this daemon runs no Rhai scripts', {
        hint: 'Run the script in the guest: sh, bash, python or node.',
      });
    }
    const { code, scope, functions = {}, timeoutMs } = order;
    const limits = { ...rhaiLimits, outputBytesMax: scriptOutputBytesMax, timeoutMs };
    const request = { code, scope, functions, limits };
    const { output, isOutputTruncated, result, error } = await engine.run(request, signal);
    const isLate = error?.kind === 'timeout';
    return {
      status: error === null ? 'completed' : isLate ? 'timeout' : 'failed',
      result,
      stdout: output,
      stderr: '',
      isTruncated: isOutputTruncated,
      exitCode: error === null ? 0 : isLate ? null : 1,
      signal: null,
      error: error === null ? null : isLate ? timedOut(timeoutMs) : placed(error),
    };
  }

  /** Runs a command in the guest; see `run`. */
  async command(
    tenant: string,
    idOrName: string,
    request: ExecRequest,
    signal: AbortSignal,
  ): Promise<CommandRun> {
    const { clock, machines } = this.#deps;
    const begunMs = clock.elapsedMs();
    const ended = await gather(await machines.exec(tenant, idOrName, request, signal), request.timeoutMs);
    return { ...ended, durationMs: Math.round(clock.elapsedMs() - begunMs) };
  }

  async #inGuest(
    tenant: string,
    idOrName: string,
    { language, code, timeoutMs }: ScriptOrder & { readonly language: GuestLanguage },
    signal: AbortSignal,
  ): Promise<Ended> {
    const argv = [...interpreters[language], code];
    const session = await this.#deps.machines.exec(tenant, idOrName, { argv, timeoutMs }, signal);
    return { ...(await gather(session, timeoutMs)), result: null };
  }
}

/** Reads the session to its end, and keeps the beginning of its output. */
async function gather(session: ExecSession, timeoutMs: number): Promise<Omit<Ended, 'result'>> {
  const streams = {
    stdout: new CappedText(scriptOutputBytesMax),
    stderr: new CappedText(scriptOutputBytesMax),
  };
  let outcome: ExecOutcome = { outcome: 'unknown', reason: 'the guest did not say how it ended' };
  for await (const event of session) {
    if (event.type === 'outcome') outcome = event.outcome;
    else streams[event.type].push(event.data);
  }
  const stderr = streams.stderr.text();
  return {
    ...endOf(outcome, timeoutMs, stderr),
    stdout: streams.stdout.text(),
    stderr,
    isTruncated: streams.stdout.isTruncated || streams.stderr.isTruncated,
  };
}

function checkCode({ language, code }: ScriptOrder): void {
  const bytesMax = language === 'rhai' ? rhaiCodeBytesMax : guestCodeBytesMax;
  const bytes = Buffer.byteLength(code);
  if (bytes > bytesMax)
    throw new AppError('invalid', `code must have at most ${bytesMax} bytes, not ${bytes}`);
  if (code.includes('\0')) throw new AppError('invalid', 'code must not contain NUL');
}

function endOf(
  outcome: ExecOutcome,
  timeoutMs: number,
  stderr: string,
): Pick<ScriptRun, 'status' | 'exitCode' | 'signal' | 'error'> {
  switch (outcome.outcome) {
    case 'exited': {
      const { exitCode } = outcome;
      if (exitCode === 0) return { status: 'completed', exitCode, signal: null, error: null };
      const lastLine = stderr.trim().split('\n').at(-1) ?? '';
      const error = `exit code ${exitCode}${lastLine === '' ? '' : `: ${lastLine}`}`;
      return { status: 'failed', exitCode, signal: null, error };
    }
    case 'signalled': {
      const { signal } = outcome;
      return { status: 'failed', exitCode: null, signal, error: `ended by signal ${signal}` };
    }
    case 'timed_out':
      return { status: 'timeout', exitCode: null, signal: null, error: timedOut(timeoutMs) };
    case 'unknown':
      throw new AppError('guest', 'the guest was lost while the script ran', {
        isMaybeDone: true,
        hint: `The script’s outcome is unknown: ${outcome.reason}.`,
      });
  }
}

function placed({ message, line, column }: ScriptFailure): string {
  if (line === null) return message;
  return `${message} (line ${line}${column === null ? '' : `, column ${column}`})`;
}

function timedOut(timeoutMs: number): string {
  return `Script execution timed out after ${timeoutMs / 1000}s`;
}
