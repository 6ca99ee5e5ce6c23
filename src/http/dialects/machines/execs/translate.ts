/** Translates between core's commands and this dialect's. Pure. */
import type {
  Command,
  OutputEvent,
  RunningCommand,
  StartCommand,
} from '../../../../core/commands/command.ts';
import type { ExecOutcome, ExecRequest } from '../../../../core/ports/guest.ts';
import { exitCodeOfSignal } from '../../../../lib/signals.ts';
import { BadRequest } from '../../../errors.ts';
import type { CommandBody, ExecBody, ExecEventBody, OutputEventBody } from './schema.ts';
import { timeoutSecondsDefault, timeoutSecondsMax } from './schema.ts';

type ExecForm = 'buffered' | 'streamed' | 'detached';

/** The form of the answer. Raises BadRequest for options that another form has. */
export function formOf(body: ExecBody, isStreamWanted: boolean): ExecForm {
  const form = body.detach ? 'detached' : isStreamWanted ? 'streamed' : 'buffered';
  const given = (name: keyof ExecBody) => body[name] !== undefined && body[name] !== false;
  for (const [name, what] of [
    ['tty', 'a terminal'],
    ['stdin_open', 'open standard input'],
  ] as const)
    if (form === 'buffered' && given(name))
      throw new BadRequest(
        `${what} (\`${name}\`) needs \`detach\`, or a streamed answer`,
        'Send `detach`, or the header `Accept: application/x-ndjson`.',
      );
  if (form !== 'buffered' && given('encoding'))
    throw new BadRequest('an `encoding` is for buffered answers', 'Omit it: streams are always base64.');
  return form;
}

/** A buffered command. */
export function toExecRequest(body: ExecBody): ExecRequest {
  const stdin = stdinOf(body);
  return {
    ...programOf(body),
    timeoutMs: timeoutMsOf(body.timeout ?? timeoutSecondsDefault),
    ...(stdin === undefined ? {} : { stdin: once(stdin) }),
  };
}

/** A command that the guest agent owns. */
export function toStartCommand(body: ExecBody, form: Exclude<ExecForm, 'buffered'>): StartCommand {
  const timeout = body.timeout ?? (form === 'detached' ? undefined : timeoutSecondsDefault);
  const stdin = stdinOf(body);
  return {
    ...programOf(body),
    ...(timeout === undefined ? {} : { timeoutMs: timeoutMsOf(timeout) }),
    ...(stdin === undefined ? {} : { stdin }),
    ...(body.stdin_open ? { isStdinOpen: true } : {}),
    ...(body.tty === undefined ? {} : { terminal: body.tty }),
  };
}

/** What runs, and how. */
export function programOf({ command, env, cwd, user }: Pick<ExecBody, 'command' | 'env' | 'cwd' | 'user'>) {
  return {
    argv: command,
    ...(env === undefined ? {} : { env }),
    ...(cwd === undefined ? {} : { cwd }),
    ...(user === undefined ? {} : { user }),
  };
}

export function timeoutMsOf(seconds: number): number {
  return Math.min(seconds, timeoutSecondsMax) * 1000;
}

function stdinOf({ stdin }: ExecBody): Uint8Array | undefined {
  return stdin === undefined ? undefined : Buffer.from(stdin, 'base64');
}

async function* once(data: Uint8Array): AsyncGenerator<Uint8Array> {
  yield data;
}

export function toCommandBody(command: Command): CommandBody {
  const { id, machineId, pid, program, words, argc, outcome, endedAtMs } = command;
  const shown = words.length > 0 ? words : [program];
  const none = { outcome: null, exit_code: null, signal: null, reason: null };
  return {
    ...{ id, machine_id: machineId, pid, state: outcome === null ? 'running' : 'ended' },
    ...{ command: [...shown], command_truncated: argc === null ? words.length === 0 : argc > shown.length },
    tty: command.hasTerminal,
    started_at: new Date(command.startedAtMs).toISOString(),
    ended_at: endedAtMs === null ? null : new Date(endedAtMs).toISOString(),
    ...(outcome === null ? none : outcomeFields(outcome)),
    ...{ stdout_bytes: command.stdoutBytes, stderr_bytes: command.stderrBytes },
    ...{ first_cursor: command.firstOffset, next_cursor: command.nextOffset },
  };
}

/** How a command ended, in the words of every answer. */
export function outcomeFields(outcome: ExecOutcome) {
  return {
    outcome: outcome.outcome,
    exit_code: exitCodeOf(outcome),
    signal: outcome.outcome === 'signalled' ? outcome.signal : null,
    reason: outcome.outcome === 'unknown' ? outcome.reason : null,
  };
}

function exitCodeOf(outcome: ExecOutcome): number | null {
  if (outcome.outcome === 'exited') return outcome.exitCode;
  return outcome.outcome === 'signalled' ? exitCodeOfSignal(outcome.signal) : null;
}

export function toEventBody(event: OutputEvent): OutputEventBody {
  if (event.type === 'outcome') return { type: 'outcome', ...outcomeFields(event.outcome) };
  if (event.type === 'caught_up') return event;
  const { type, offset, cursor, data } = event;
  const { buffer, byteOffset, byteLength } = data;
  return { type, offset, data: Buffer.from(buffer, byteOffset, byteLength).toString('base64'), cursor };
}

/** Null: nobody can attach to it again. */
export function toStartedEvent({ id, machineId, pid }: RunningCommand): ExecEventBody | null {
  return id === null || pid === null ? null : { type: 'started', id, machine_id: machineId, pid };
}
