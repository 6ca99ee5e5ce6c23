/** Hatch's exec: a shell command that goes on after its deadline, or in the background, with its output in a log file. */
import { randomBytes } from 'node:crypto';
import { constants } from 'node:os';
import { AppError, isAppError } from '../../../core/errors.ts';
import type { LoggedCommand, LoggedEvent, LoggedRequest } from '../../../core/ports/guest-logged.ts';
import { Gathered } from '../../gathered.ts';
import { type ExecBody, type ExecResultBody, timeoutMsDefault, timeoutMsMax } from './schema.ts';

/** How much output an answer has; a longer log stays in the guest, and the answer names it. */
const outputBytesMax = 1024 * 1024;
/** Hatch's own; the others are in memory, for a guest whose disk is full or read-only. */
const logDirectories = ['/tmp', '/run', '/dev/shm'];

/** Starts a command in the guest; the signal kills it. */
type Start = (request: LoggedRequest) => Promise<LoggedCommand>;
type Ended = Exclude<LoggedEvent, { readonly type: 'output' }>;

/** Raises `guest` when the command was not started, or nobody knows how it ended. */
export async function runExec(
  body: ExecBody,
  start: Start,
  reserve: (bytes: number) => void,
): Promise<ExecResultBody> {
  const isDetached = body.background === true;
  const name = `hatch-exec-${randomBytes(6).toString('hex')}.log`;
  const command = await started(start, {
    argv: ['sh', '-c', body.command],
    log: { name, directories: logDirectories },
    outputBytesMax,
    isDetached,
  });
  const { pid, logPath: log_file } = command;
  if (isDetached) return { stdout: '', stderr: '', exit_code: 0, timed_out: false, pid, log_file };
  const output = new Gathered(reserve);
  return toResult(command, await follow(command, output, timeoutOf(body)), output);
}

/** Hatch has no word for a guest that cannot run a shell or keep a log. */
async function started(start: Start, request: LoggedRequest): Promise<LoggedCommand> {
  try {
    return await start(request);
  } catch (error) {
    if (!isAppError(error, 'invalid')) throw error;
    throw new AppError('guest', `the command was not started: ${error.message}`, { cause: error });
  }
}

function timeoutOf({ timeout_ms: asked }: ExecBody): number {
  return asked == null || asked <= 0 ? timeoutMsDefault : Math.min(asked, timeoutMsMax);
}

/** Reads the command's output to its end; lets it go when the time is over. */
async function follow(command: LoggedCommand, output: Gathered, timeoutMs: number): Promise<Ended> {
  const timer = setTimeout(() => command.letGo(), timeoutMs);
  try {
    for await (const event of command) {
      if (event.type !== 'output') return event;
      output.push(event.data);
    }
  } finally {
    clearTimeout(timer);
  }
  return { type: 'lost', reason: 'the guest did not say how it ended' };
}

function toResult({ pid, logPath: log_file }: LoggedCommand, ended: Ended, output: Gathered): ExecResultBody {
  if (ended.type === 'lost')
    throw new AppError('guest', 'failed to communicate with the vm', {
      isMaybeDone: true,
      hint: `The command’s outcome is unknown: ${ended.reason}.`,
    });
  const { end } = ended;
  const note = noteOf(end, output);
  const answer = { stdout: output.text(), stderr: '', ...(note === null ? {} : { output_note: note }) };
  if (end.outcome === 'running') return { ...answer, exit_code: -1, timed_out: true, pid, log_file };
  // As a shell says it.
  const exit_code = end.outcome === 'exited' ? end.exitCode : 128 + signalNumber(end.signal);
  return { ...answer, exit_code, timed_out: false, ...(end.log === 'kept' ? { log_file } : {}) };
}

/** The first real-time signal; the guest calls the others RTMIN+1, and so on. */
const realTimeBase = 34;

/** By the guest's name, or by the number that it gives for a signal without one. */
function signalNumber(name: string): number {
  const numbers: Readonly<Record<string, number>> = constants.signals;
  const [, offset] = /^RTMIN\+(\d+)$/.exec(name) ?? [];
  return offset === undefined ? (numbers[`SIG${name}`] ?? Number(name)) : realTimeBase + Number(offset);
}

/** Null: all of the output is in the answer, or in the log file that it names. */
function noteOf(
  { log, isFull, outcome }: Extract<Ended, { readonly type: 'end' }>['end'],
  { isTruncated }: Gathered,
): string | null {
  if (isFull) return 'output may be missing: the guest has no space left for the log file';
  if (log === 'gone') return 'the rest of the output is lost: the log file was removed in the guest';
  if (isTruncated && log !== 'kept' && outcome !== 'running')
    return 'the end of the output is missing: your other requests hold too much memory of the daemon';
  return null;
}
