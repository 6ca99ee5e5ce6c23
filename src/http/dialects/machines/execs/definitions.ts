/** The documented and validated routes of commands in machines; their handlers are in `routes.ts`. */
import { createRoute, type RouteConfig, z } from '@hono/zod-openapi';
import { bodyBytesMax, needs, smallBodyBytesMax } from '../../../access.ts';
import { bodyOf, bodyRefused, commonFailures, failure, json } from '../../../documented.ts';
import { eventStream, ndjson } from '../../../streaming.ts';
import { machineParams } from '../schema.ts';
import * as schema from './schema.ts';

const tags = ['execs'];

const refused = (message: string) => ({
  400: failure('The request is invalid, or the machine does not run.', 'BAD_REQUEST', message),
});
const notRunning = refused('Machine must be running to execute commands');
const failures = {
  ...commonFailures,
  404: failure('The machine or the command does not exist.', 'NOT_FOUND', 'No such command: p4x0c7k2m9ab'),
  502: failure('The guest cannot be reached.', 'VSOCK_ERROR', 'Failed to communicate with VM', true),
} as const;
const ended = (description: string, message: string) => ({ 409: failure(description, 'CONFLICT', message) });
const done = { 204: { description: 'Done.' } } as const;
const commandAnswer = json('The command.', schema.commandBody);
const params = schema.commandParams;
const base = '/{id}/execs/{eid}';

export const routes = {
  exec: createRoute({
    method: 'post',
    path: '/{id}/exec',
    operationId: 'execInMachine',
    // Clients that are generated from the document keep it beside the other calls of a machine.
    tags: ['machines'],
    ...needs('machines:exec', { body: { kind: 'json', bytesMax: bodyBytesMax }, answer: 'stream' }),
    summary: 'Run a command',
    description: `
Runs a program in the guest and returns its exit code and output when it ends; a client that disconnects ends the command. A
command that exits with a code other than 0 is still answered with 200.

With \`Accept: ${ndjson}\` (one JSON object on each line) or \`Accept: ${eventStream}\` the answer is a stream of events instead.
Its first event names the command. If the client disconnects, the command goes on to its \`timeout\`, unless it has not taken all its
\`stdin\` yet; \`GET /machines/{id}/execs/{eid}/output\` attaches to it again.

With \`detach\` the answer is the command's id, at once.
`.trim(),
    request: {
      params: machineParams,
      ...bodyOf(schema.execBody, { command: ['uname', '-r'], timeout: 10 }),
    },
    responses: {
      200: {
        description: 'The result of the command, or its events.',
        content: {
          'application/json': { schema: schema.execResult },
          [ndjson]: { schema: schema.execEvent },
          [eventStream]: { schema: schema.execEvent },
        },
      },
      201: json('With `detach`: the command has started.', schema.startedBody),
      ...notRunning,
      ...commonFailures,
      404: failure('The machine does not exist.', 'NOT_FOUND', "Machine with id 'abc123' not found"),
      ...bodyRefused,
      502: failure(
        'The guest cannot be reached, or the connection to it was lost. Unless `retryable` is true, the command may have run.',
        'VSOCK_ERROR',
        'Failed to communicate with VM',
      ),
      504: failure(
        'The command ran longer than `timeout` and was killed. `details` holds its output.',
        'TIMEOUT',
        'Command execution timed out after 30 seconds',
      ),
    },
  }),
  list: createRoute({
    method: 'get',
    path: '/{id}/execs',
    operationId: 'listExecs',
    tags,
    ...needs('machines:exec'),
    summary: 'List commands',
    description:
      'The detached and streamed commands of the machine’s current boot. Ended ones are kept until they are deleted or until their place is needed, and for ten seconds if nobody has asked about them: a machine has at most 64, and an eighth of its memory for their output. They are gone when the machine stops.',
    request: { params: machineParams },
    responses: { 200: json('The commands.', schema.commandList), ...notRunning, ...failures },
  }),
  get: createRoute({
    method: 'get',
    path: base,
    operationId: 'getExec',
    tags,
    ...needs('machines:exec'),
    summary: 'Get a command',
    description: 'Tells whether the command runs, how it ended, and how much it wrote.',
    request: { params },
    responses: { 200: commandAnswer, ...notRunning, ...failures },
  }),
  output: createRoute({
    method: 'get',
    path: `${base}/output`,
    operationId: 'getExecOutput',
    tags,
    ...needs('machines:exec', { query: 'declared', answer: 'stream' }),
    summary: 'Read a command’s output',
    description: `
Returns the output from a cursor on, as bytes or, with \`Accept: ${ndjson}\` or \`Accept: ${eventStream}\`, as events. With
\`follow\` the answer goes on until the command ends; without it, \`X-Output-Next\` is the cursor to continue with, and \`X-Exec-State\`
says whether the command runs.

The guest keeps the last 1 MiB (256 KiB of a streamed command). While a client reads, the command waits for it, so no byte is lost. An
answer whose connection is cut is incomplete: continue with the \`cursor\` of the last event. A browser’s EventSource does so by itself;
close it after \`outcome\` or \`caught_up\`.
`.trim(),
    request: { params, query: schema.outputQuery },
    responses: {
      200: {
        description: 'The output.',
        content: {
          'application/octet-stream': {
            schema: z.string().openapi({ format: 'binary', description: 'The bytes.' }),
          },
          [ndjson]: { schema: schema.outputEventBody },
          [eventStream]: { schema: schema.outputEventBody },
        },
      },
      ...notRunning,
      ...failures,
      410: failure(
        'The output at this cursor is no longer kept. `details.first_cursor` is the first that is.',
        'CURSOR_EXPIRED',
        'The output from byte 0 on is no longer kept; the first kept byte is 4096',
      ),
    },
  }),
  wait: createRoute({
    method: 'get',
    path: `${base}/wait`,
    operationId: 'waitForExec',
    tags,
    ...needs('machines:exec', { query: 'declared' }),
    summary: 'Wait for a command',
    description: 'Answers as soon as the command has ended.',
    request: { params, query: schema.execWaitQuery },
    responses: {
      200: commandAnswer,
      ...notRunning,
      ...failures,
      504: failure(
        'The command did not end within `timeout` seconds. It runs on.',
        'TIMEOUT',
        'Command p4x0c7k2m9ab did not end within 30 s',
        true,
      ),
    },
  }),
  signal: createRoute({
    method: 'post',
    path: `${base}/signal`,
    operationId: 'signalExec',
    tags,
    ...needs('machines:exec', { body: { kind: 'json', bytesMax: smallBodyBytesMax } }),
    summary: 'Send a signal',
    description: 'Sends a signal to the command’s process group. It never waits behind standard input.',
    request: { params, ...bodyOf(schema.signalBody, { signal: 'TERM' }) },
    responses: {
      ...done,
      ...refused('No such signal: FOO'),
      ...failures,
      ...bodyRefused,
      ...ended('The command has ended.', 'The command has ended'),
    },
  }),
  stdin: createRoute({
    method: 'post',
    path: `${base}/stdin`,
    operationId: 'feedExec',
    tags,
    ...needs('machines:exec', { body: { kind: 'stream' }, query: 'declared' }),
    summary: 'Send standard input',
    description:
      'Passes on the body to a command with `stdin_open`, as fast as the command reads it, and answers when the guest has all of it. With `end`, standard input ends afterwards.',
    request: {
      params,
      query: schema.stdinQuery,
      body: {
        required: false,
        content: {
          'application/octet-stream': {
            schema: z.string().openapi({ format: 'binary', description: 'The bytes; may be none.' }),
          },
        },
      },
    },
    responses: {
      ...done,
      ...notRunning,
      ...failures,
      408: failure(
        'The body stopped for 60 s.',
        'TIMEOUT',
        'The request body did not arrive within 60 seconds',
        true,
      ),
      ...ended('The command takes no standard input.', 'The command takes no standard input'),
      415: bodyRefused[415],
    },
  }),
  resize: createRoute({
    method: 'post',
    path: `${base}/resize`,
    operationId: 'resizeExec',
    tags,
    ...needs('machines:exec', { body: { kind: 'json', bytesMax: smallBodyBytesMax } }),
    summary: 'Resize a terminal',
    description: 'Changes the size of the command’s terminal.',
    request: { params, ...bodyOf(schema.resizeBody, { rows: 50, columns: 132 }) },
    responses: {
      ...done,
      ...notRunning,
      ...failures,
      ...bodyRefused,
      ...ended('The command has no terminal.', 'The command has no terminal'),
    },
  }),
  remove: createRoute({
    method: 'delete',
    path: base,
    operationId: 'deleteExec',
    tags,
    ...needs('machines:exec', { body: { kind: 'empty' } }),
    summary: 'Delete a command',
    description: 'Ends the command and everything it started, if it still runs, and drops its output.',
    request: { params },
    responses: { 204: { description: 'Deleted.' }, ...notRunning, ...failures, ...bodyRefused },
  }),
} satisfies Record<string, RouteConfig>;

export const execRoutes: readonly RouteConfig[] = Object.values(routes);
