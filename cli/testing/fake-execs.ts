/**
 * The commands of a fake daemon’s machine that outlive their callers: over the routes below `/machines/{id}/execs`, with output
 * from a cursor, input, signals and sizes. The first word of a command chooses what it does.
 */
import type { IncomingMessage, ServerResponse } from 'node:http';
import { Refusal } from './refusal.ts';

type Fields = Readonly<Record<string, unknown>>;

interface FakeExec {
  readonly id: string;
  readonly body: Fields;
  readonly tty: boolean;
  output: { readonly type: 'stdout' | 'stderr'; readonly data: Buffer }[];
  /** The first byte that is kept. */
  first: number;
  next: number;
  /** Null while it runs. */
  outcome: Fields | null;
  readonly changed: Set<() => void>;
  typed: string;
}

export class FakeExecs {
  readonly all: FakeExec[] = [];
  readonly #note: (entry: string) => void;

  constructor(note: (entry: string) => void) {
    this.#note = note;
  }

  start(body: Fields): FakeExec {
    const [program = '', argument = ''] = body.command as string[];
    const id = `exec${String(this.all.length).padStart(8, '0')}`;
    const exec: FakeExec = {
      ...{ id, body, tty: body.tty !== undefined, output: [], first: 0, next: 0, outcome: null },
      ...{ changed: new Set<() => void>(), typed: '' },
    };
    this.all.push(exec);
    this.#note(`started ${JSON.stringify(body)}`);
    const { rows, columns } = (body.tty ?? {}) as Fields;
    if (program === 'shell') this.print(exec, `${rows}x${columns}\r\n$ `);
    if (program === 'hang') this.print(exec, 'ready\n');
    if (program === 'print') this.print(exec, argument);
    if (program === 'print' || program === 'exit') this.end(exec, exited(Number(argument) || 0));
    return exec;
  }

  print(exec: FakeExec, text: string | Buffer, type: 'stdout' | 'stderr' = 'stdout'): void {
    const data = Buffer.from(text);
    exec.output.push({ type, data });
    exec.next += data.length;
    this.#change(exec);
  }

  end(exec: FakeExec, outcome: Fields): void {
    exec.outcome ??= outcome;
    this.#change(exec);
  }

  /** Forgets all output so far, as a full ring does. */
  expire(exec: FakeExec): void {
    exec.output = [];
    exec.first = exec.next;
  }

  /** Answers a request below `/machines/{id}/execs`. Throws Refusal. */
  async answer(
    method: string,
    path: readonly string[],
    query: URLSearchParams,
    request: IncomingMessage,
    response: ServerResponse,
  ): Promise<void> {
    const [id, verb] = path;
    if (id === undefined) return send(response, 200, { execs: this.all.map(bodyOf) });
    const exec = this.all.find((each) => each.id === id);
    if (exec === undefined) throw new Refusal(404, 'NOT_FOUND', `no such command: ${id}`);
    if (method === 'GET' && verb === undefined) return send(response, 200, bodyOf(exec));
    if (method === 'GET' && verb === 'output') return await this.follow(exec, query, response);
    if (method === 'GET' && verb === 'wait') return await this.#wait(exec, response);
    if (method === 'POST' && verb === 'stdin') await this.#feed(exec, query, request);
    else await this.#act(exec, method, verb, request);
    response.writeHead(204).end();
  }

  /** Streams events from a cursor on. */
  async follow(
    exec: FakeExec,
    query: URLSearchParams,
    response: ServerResponse,
    first?: Fields,
  ): Promise<void> {
    let cursor = Number(query.get('from') ?? 0);
    if (cursor < exec.first) {
      const details = { first_cursor: exec.first };
      const error = { code: 'CURSOR_EXPIRED', message: 'expired', details, request_id: 'req_1' };
      return send(response, 410, { error });
    }
    response.writeHead(200, { 'content-type': 'application/x-ndjson' }).flushHeaders();
    const emit = (event: Fields) => response.write(`${JSON.stringify(event)}\n`);
    if (first !== undefined) emit(first);
    while (!response.destroyed) {
      let at = exec.first;
      for (const { type, data } of exec.output) {
        const piece = data.subarray(Math.max(0, cursor - at));
        at += data.length;
        if (at <= cursor) continue;
        cursor = at;
        emit({ type, offset: at - piece.length, data: piece.toString('base64'), cursor });
      }
      if (exec.outcome !== null)
        return void response.end(`${JSON.stringify({ type: 'outcome', ...exec.outcome })}\n`);
      if (query.get('follow') !== 'true')
        return void response.end(`${JSON.stringify({ type: 'caught_up', cursor })}\n`);
      await this.#nextChange(exec, response);
    }
  }

  async #wait(exec: FakeExec, response: ServerResponse): Promise<void> {
    while (exec.outcome === null && !response.destroyed) await this.#nextChange(exec, response);
    send(response, 200, bodyOf(exec));
  }

  async #feed(exec: FakeExec, query: URLSearchParams, request: IncomingMessage): Promise<void> {
    if (exec.outcome !== null || exec.body.stdin_open !== true)
      throw new Refusal(409, 'CONFLICT', 'The command takes no standard input');
    for await (const piece of request) this.#typed(exec, piece as Buffer);
    if (query.get('end') === 'true') this.end(exec, exited(0));
  }

  /** A terminal’s shell knows `exit N`; everything is echoed. */
  #typed(exec: FakeExec, piece: Buffer): void {
    this.#note(`typed ${JSON.stringify(piece.toString('latin1'))}`);
    this.print(exec, piece);
    exec.typed += piece.toString('latin1');
    const [, code] = /exit (\d+)\r$/.exec(exec.typed) ?? [];
    if (exec.tty && code !== undefined) this.end(exec, exited(Number(code)));
  }

  async #act(
    exec: FakeExec,
    method: string,
    verb: string | undefined,
    request: IncomingMessage,
  ): Promise<void> {
    const chunks: Buffer[] = [];
    for await (const chunk of request) chunks.push(chunk as Buffer);
    const body = chunks.length === 0 ? {} : JSON.parse(Buffer.concat(chunks).toString());
    this.#note(`${verb ?? method.toLowerCase()} ${exec.id} ${JSON.stringify(body)}`);
    if (method === 'DELETE') {
      this.all.splice(this.all.indexOf(exec), 1);
      this.end(exec, { outcome: 'signalled', signal: 'KILL', exit_code: 137 });
    } else if (verb === 'signal') {
      if (exec.outcome !== null) throw new Refusal(409, 'CONFLICT', 'The command has ended');
      this.end(exec, {
        outcome: 'signalled',
        signal: body.signal,
        exit_code: body.signal === 'INT' ? 130 : 137,
      });
    } else if (verb === 'resize') this.print(exec, `[${body.rows}x${body.columns}]`);
    else throw new Refusal(404, 'NOT_FOUND', `no route ${verb}`);
  }

  #change(exec: FakeExec): void {
    for (const call of [...exec.changed]) call();
  }

  async #nextChange(exec: FakeExec, response: ServerResponse): Promise<void> {
    const { promise, resolve } = Promise.withResolvers<void>();
    exec.changed.add(resolve);
    response.once('close', resolve);
    await promise;
    exec.changed.delete(resolve);
    response.off('close', resolve);
  }
}

function exited(code: number): Fields {
  return { outcome: 'exited', exit_code: code, signal: null, reason: null };
}

function bodyOf({ id, body, tty, first, next, outcome }: FakeExec): Fields {
  const none = { outcome: null, exit_code: null, signal: null, reason: null };
  return {
    ...{ id, machine_id: 'id0000000000', pid: 7, state: outcome === null ? 'running' : 'ended' },
    ...{ command: body.command, command_truncated: false, tty },
    ...{ started_at: '2026-01-01T00:00:00.000Z', ended_at: outcome && '2026-01-01T00:00:03.000Z' },
    ...{ ...none, ...outcome, stdout_bytes: next, stderr_bytes: 0, first_cursor: first, next_cursor: next },
  };
}

function send(response: ServerResponse, status: number, body: unknown): void {
  response.writeHead(status, { 'content-type': 'application/json' }).end(JSON.stringify(body));
}
