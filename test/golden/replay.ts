/** Replays a golden conversation against a server and compares every answer. */
import { expect } from 'vitest';
import { parse } from 'yaml';
import { eventStream, ndjson } from '../../src/http/streaming.ts';
import type { Contract } from '../contract/document.ts';
import type { Conversation, GoldenRequest, GoldenResponse, Turn, World } from './conversation.ts';
import { operationOf } from './coverage.ts';
import { type Captures, fill, fillAll, settle } from './placeholders.ts';

/** A server with what a conversation is about. */
export interface OpenWorld {
  readonly url: string;
  /** Initially holds the keys and the given machines. */
  readonly captures: Captures;
  turn(turn: Turn): void;
  close(): Promise<void>;
}

/** Checks what every error of a dialect has; `name` says which exchange it is. */
export type CheckError = (body: unknown, requestId: string | null, name: string) => void;

export interface ReplayOptions {
  /** Answers have the shapes that it documents. */
  readonly contract: Contract;
  /** Replaces `/machines` in the requests. */
  readonly prefix?: string | undefined;
  readonly checkError?: CheckError;
}

interface Answer {
  readonly status: number;
  readonly headers: Headers;
  readonly body: unknown;
}

export async function replay(
  { given, exchanges }: Conversation,
  open: (world: World) => Promise<OpenWorld>,
  options: ReplayOptions,
): Promise<void> {
  const world = await open(given);
  const { captures } = world;
  try {
    for (const [index, { given: turn, request, response, note }] of exchanges.entries()) {
      if (turn) world.turn(turn);
      const target = fill(request.path, captures);
      const path = target.replace(/^\/machines(?=[/?]|$)/, options.prefix ?? '/machines');
      const answer = await send(`${world.url}${path}`, request, captures);
      const name = `exchange ${index + 1}: ${request.method} ${path}${note === undefined ? '' : ` (${note})`}`;
      compare(answer, response, captures, name);
      checkShape(options.contract, request.method, target, answer, name);
      if (answer.status >= 400) options.checkError?.(answer.body, answer.headers.get('x-request-id'), name);
    }
  } finally {
    await world.close();
  }
}

async function send(
  url: string,
  { method, headers, body, text }: GoldenRequest,
  captures: Captures,
): Promise<Answer> {
  const sent = new Headers({ Authorization: fill(`Bearer \${key}`, captures) });
  if (body !== undefined) sent.set('Content-Type', 'application/json');
  for (const [name, value] of Object.entries(headers)) {
    if (value === null) sent.delete(name);
    else sent.set(name, fill(value, captures));
  }
  const json = body === undefined ? null : JSON.stringify(fillAll(body, captures));
  // As bytes, for which fetch adds no content type.
  const content = text === undefined ? json : fill(text, captures);
  const answer = await fetch(url, {
    method,
    headers: sent,
    ...(content === null ? {} : { body: new TextEncoder().encode(content) }),
  });
  const received = await answer.text();
  return { status: answer.status, headers: answer.headers, body: parsed(received, answer.headers) };
}

function parsed(text: string, headers: Headers): unknown {
  if (text === '') return null;
  const type = headers.get('content-type') ?? '';
  if (type === 'application/yaml') return parse(text);
  if (type === ndjson)
    return text
      .trimEnd()
      .split('\n')
      .map((line) => JSON.parse(line));
  return type.includes('json') ? JSON.parse(text) : text;
}

function compare(
  { status, headers, body }: Answer,
  expected: GoldenResponse,
  captures: Captures,
  name: string,
) {
  const usualType = expected.body === null ? null : 'application/json';
  const { 'content-type': type = usualType, ...expectedHeaders } = expected.headers;
  const settled = {
    status: expected.status,
    type,
    body: settle(expected.body, body, captures),
  };
  expect({ status, type: headers.get('content-type'), body }, name).toEqual(settled);
  for (const [header, value] of Object.entries(expectedHeaders)) {
    const actual = headers.get(header);
    expect(actual, `${name}: ${header}`).toBe(settle(value, actual, captures));
  }
}

function checkShape(contract: Contract, method: string, path: string, answer: Answer, name: string): void {
  const documented = operationOf(contract.operations, method, path)?.responses[answer.status];
  const type = answer.headers.get('content-type') ?? '';
  const media = documented?.content?.[type];
  // What a server-sent event carries is in its text.
  if (!media || type === eventStream) return;
  const values = type === ndjson ? (answer.body as readonly unknown[]) : [answer.body];
  for (const value of values) expect(contract.problem(media.schema, value), `${name}: shape`).toBeNull();
}
