/** What requests about commands and their answers look like. One schema serves validation and the OpenAPI document. */
import { z } from '@hono/zod-openapi';
import {
  closed,
  closedQuery,
  flag,
  integerMax,
  moment,
  noNul,
  noNulPattern,
  openApi31,
  wholeNumber,
} from '../../../schema.ts';
import { argument, envName, envNames } from '../fields.ts';
import { machineParams, waitSecondsMax } from '../schema.ts';

/** 8 MiB of bytes in base64. */
const stdinCharactersMax = 11_184_812;

/** Groups of four; the last may be padded. */
const base64Pattern = '^([A-Za-z0-9+/]{4})*([A-Za-z0-9+/]{2}==|[A-Za-z0-9+/]{3}=)?$';
/** A terminal may not be larger; the kernel’s limit of both is 65,535. */
const cellsMax = 10_000;

const argv = z.array(argument).min(1).max(4096);

/** A width or height of a terminal, in characters. */
export const cells = z.int().min(1).max(cellsMax);

export const resizeBody = closed({
  rows: cells.openapi({ description: 'Height in characters.', example: 50 }),
  columns: cells.openapi({ description: 'Width in characters.', example: 132 }),
});

const terminalSize = closed({
  rows: cells.default(24).openapi({ description: 'Height in characters.' }),
  columns: cells.default(80).openapi({ description: 'Width in characters.' }),
});

export const timeoutSecondsDefault = 30;
/** A day. Clients that mean milliseconds ask for more. */
export const timeoutSecondsMax = 86_400;

/** What runs, and how. */
export const programFields = {
  command: argv.openapi({
    description:
      'Program and its arguments, run without a shell. Each may have 131,071 bytes. Arguments and environment together are limited by the guest’s kernel, usually to 2 MiB. The older name `cmd` is also accepted.',
    example: ['uname', '-r'],
  }),
  timeout: z
    .int()
    .min(1)
    .optional()
    .openapi({
      description: `Seconds after which the command is killed. Default: ${timeoutSecondsDefault}; none with \`detach\`. Values above ${timeoutSecondsMax} (one day) count as ${timeoutSecondsMax}.`,
      maximum: integerMax,
      example: 10,
    }),
  env: z
    .record(envName, argument)
    .optional()
    .openapi({
      description: 'Environment variables of this command. They override the machine’s `env`.',
      ...openApi31({ propertyNames: envNames }),
      example: { LANG: 'C.UTF-8' },
    }),
  cwd: argument
    .optional()
    .openapi({ description: 'Working directory in the guest. Default: the user’s home.', example: '/' }),
  user: z.string().min(1).max(128).refine(noNul, 'must not contain NUL').optional().openapi({
    description:
      'User in the guest, by name or number. `USER:GROUP` runs with that group only. Default: root.',
    pattern: noNulPattern,
    example: 'root',
  }),
};

/** The body with `cmd` under its newer name, which wins. */
function withCommand(body: unknown): unknown {
  if (typeof body !== 'object' || body === null || Array.isArray(body) || !('cmd' in body)) return body;
  const { cmd, ...rest } = body;
  return { command: cmd, ...rest };
}

export const execBody = z
  .preprocess(
    withCommand,
    closed({
      ...programFields,
      stdin: z
        .base64('must be base64')
        .max(stdinCharactersMax)
        .optional()
        .openapi({
          description: 'Standard input as base64, at most 8 MiB of bytes.',
          ...openApi31({ contentEncoding: 'base64' }),
          pattern: base64Pattern,
          example: 'aGVsbG8K',
        }),
      encoding: z.enum(['utf8', 'base64']).optional().openapi({
        description:
          'How a buffered answer shows the output. `utf8` (the default): bytes that are not UTF-8 are replaced by U+FFFD. `base64`: all bytes.',
        example: 'utf8',
      }),
      detach: z.boolean().optional().openapi({
        description:
          'Answer with the id as soon as the command has started and has taken its `stdin`. It then outlives the request; see `GET /machines/{id}/execs`.',
        example: false,
      }),
      stdin_open: z.boolean().optional().openapi({
        description:
          'Keep standard input open after `stdin`, for `POST /machines/{id}/execs/{eid}/stdin`. Only with `detach` or a streamed answer.',
        example: false,
      }),
      tty: terminalSize.optional().openapi({
        description:
          'Run the command in a terminal of this size, whose output is all stdout. Only with `detach` or a streamed answer.',
      }),
    }),
  )
  .openapi('Exec');
export type ExecBody = z.infer<typeof execBody>;

export const execResult = z
  .object({
    exit_code: z.int().openapi({
      description: 'Exit code; 128 + the signal’s number if a signal ended the command.',
      example: 0,
    }),
    stdout: z
      .string()
      .openapi({ description: 'Standard output: its first 8 MiB.', example: '6.1.0-37-amd64\n' }),
    stderr: z.string().openapi({ description: 'Standard error: its first 8 MiB.', example: '' }),
    outcome: z
      .enum(['exited', 'signalled'])
      .openapi({ description: 'How the command ended.', example: 'exited' }),
    signal: z.string().nullable().openapi({
      description: 'Name of the signal that ended the command, without `SIG`; null if it exited.',
      example: null,
    }),
    stdout_truncated: z.boolean().openapi({
      description: 'Whether standard output is incomplete, because it exceeded 8 MiB (1 MiB in errors).',
      example: false,
    }),
    stderr_truncated: z.boolean().openapi({ description: 'The same for standard error.', example: false }),
    stdout_bytes: z.int().openapi({
      description: 'How many bytes the command wrote to standard output, also of what is not shown.',
      example: 15,
    }),
    stderr_bytes: z.int().openapi({ description: 'The same for standard error.', example: 0 }),
  })
  .openapi('ExecResult');
export type ExecResultBody = z.infer<typeof execResult>;

const cursor = z.int().openapi({
  description:
    'Where the output goes on after this event, in bytes of both streams: the `from` to continue with.',
});
const position = z.int().openapi({ description: 'Position of the first byte in this stream, from 0.' });

const outputEvent = <Type extends 'stdout' | 'stderr', Offset extends z.ZodType>(
  type: Type,
  offset: Offset,
) =>
  z.object({
    type: z.literal(type).openapi({ description: 'Output of the command.' }),
    offset,
    data: z.base64().openapi({ description: 'The bytes as base64.' }),
    cursor,
  });

const heartbeat = z.object({
  type: z.literal('heartbeat').openapi({ description: 'Sent every 10 s while there is no output.' }),
});

const outcomes = ['exited', 'signalled', 'timed_out', 'unknown'] as const;
const outcomeWords = '`unknown`: the guest was lost before it reported how the command ended.';
const exitCode = z.int().nullable().openapi({
  description: 'Exit code; 128 + the signal’s number if a signal ended the command; null if unknown.',
  example: 0,
});
const signalName = z.string().nullable().openapi({
  description: 'Name of the signal that ended the command, without `SIG`; null otherwise.',
  example: null,
});
const reason = z.string().nullable().openapi({
  description: 'Why the outcome is unknown; null otherwise.',
  example: null,
});

const outcomeEvent = z.object({
  type: z.literal('outcome').openapi({ description: 'The last event.' }),
  outcome: z.enum(outcomes).openapi({ description: outcomeWords }),
  exit_code: exitCode,
  signal: signalName,
  reason,
});

const idFields = {
  id: z.string().openapi({ description: 'Identifier of the command.', example: 'p4x0c7k2m9ab' }),
  machine_id: z.string().openapi({ description: 'Identifier of its machine.', example: 'k3v9x2m1q8zt' }),
  pid: z.int().openapi({ description: 'Process id in the guest.', example: 312 }),
};

export const execEvent = z
  .discriminatedUnion('type', [
    z.object({
      type: z.literal('started').openapi({
        description:
          'The first event: names the command, which can be attached to again. Absent if the program cannot be run, or the guest agent is too old.',
      }),
      ...idFields,
    }),
    outputEvent('stdout', position),
    outputEvent('stderr', position),
    heartbeat,
    outcomeEvent,
  ])
  .openapi('ExecEvent');
export type ExecEventBody = z.infer<typeof execEvent>;

const knownPosition = position.nullable().openapi({
  description: 'Position of the first byte in this stream; null if the guest agent is too old to tell.',
});

export const outputEventBody = z
  .discriminatedUnion('type', [
    outputEvent('stdout', knownPosition),
    outputEvent('stderr', knownPosition),
    heartbeat,
    z.object({
      type: z.literal('caught_up').openapi({
        description: 'The last event without `follow` while the command runs on.',
      }),
      cursor,
    }),
    outcomeEvent,
  ])
  .openapi('ExecOutputEvent');
export type OutputEventBody = z.infer<typeof outputEventBody>;

export const startedBody = z.object(idFields).openapi('ExecStarted');

const count = (description: string) =>
  z
    .int()
    .nullable()
    .openapi({
      description: `${description} Null if the guest agent is too old to tell.`,
      example: 15,
    });

export const commandBody = z
  .object({
    ...idFields,
    state: z.enum(['running', 'ended']).openapi({ description: 'Whether it has ended.', example: 'ended' }),
    command: z.array(z.string()).openapi({
      description: 'Its program and first arguments, at most 256 bytes.',
      example: ['make', 'all'],
    }),
    command_truncated: z.boolean().openapi({ description: 'Whether it has more arguments.', example: false }),
    tty: z.boolean().nullable().openapi({
      description: 'Whether it runs in a terminal; null if the guest agent is too old to tell.',
      example: false,
    }),
    started_at: moment.openapi({ description: 'Time (UTC) of its start, by the guest’s clock.' }),
    ended_at: moment.nullable().openapi({
      description: 'Time (UTC) of its end; null while it runs, or if the guest agent is too old to tell.',
    }),
    outcome: z
      .enum(outcomes)
      .nullable()
      .openapi({
        description: `How it ended; null while it runs. ${outcomeWords}`,
        example: 'exited',
      }),
    exit_code: exitCode,
    signal: signalName,
    reason,
    stdout_bytes: count('Bytes written to standard output.'),
    stderr_bytes: count('Bytes written to standard error.'),
    first_cursor: z.int().openapi({
      description: 'The first byte of output that is kept, counted over both streams.',
      example: 0,
    }),
    next_cursor: z.int().openapi({ description: 'The end of the output so far.', example: 15 }),
  })
  .openapi('MachineExec');
export type CommandBody = z.infer<typeof commandBody>;

export const commandList = z
  .object({ execs: z.array(commandBody).openapi({ description: 'Oldest first; at most 64.' }) })
  .openapi('MachineExecList');

export const commandParams = machineParams.extend({
  eid: z
    .string()
    .min(1)
    .max(64)
    .openapi({ param: { description: 'Id of the command.' }, example: 'p4x0c7k2m9ab' }),
});

const bytesFrom = wholeNumber(z.number().int().min(0).optional()).openapi({
  maximum: integerMax,
  param: {
    description:
      'The cursor to begin at, in bytes of both streams. Default: `Last-Event-ID`, else 0. A cursor whose output is no longer kept is an error (410).',
  },
});

export const outputQuery = closedQuery({
  from: bytesFrom,
  stream: z
    .enum(['stdout', 'stderr'])
    .optional()
    .openapi({ param: { description: 'Only this stream. Default: both, in the order of writing.' } }),
  follow: flag('Whether to go on with new output until the command ends.'),
});

export const execWaitQuery = closedQuery({
  timeout: wholeNumber(z.number().int().min(1).max(waitSecondsMax).default(waitSecondsMax)).openapi({
    param: { description: 'Seconds to wait, at most 30. To wait longer, repeat the request.' },
  }),
});

export const stdinQuery = closedQuery({
  end: flag('Whether standard input ends after the body.'),
});

export const anySignal = z
  .string()
  .regex(/^(SIG)?[A-Z][A-Z0-9+-]{0,15}$/, 'must be the name of a signal, such as TERM')
  .openapi({ description: 'Name of a signal, with or without `SIG`.', example: 'TERM' });

export const signalBody = closed({ signal: anySignal });
