/** Replays a golden conversation against a real server and compares every answer. */
import { expect } from 'vitest';
import type { Conversation, GoldenRequest, GoldenResponse } from './conversation.ts';
import { type Captures, fill, fillAll, settle } from './placeholders.ts';
import { openWorld } from './world.ts';

/** `prefix` replaces `/machines` in the requests. */
export async function replay({ given, exchanges }: Conversation, prefix = '/machines'): Promise<void> {
  const world = await openWorld(given);
  const { captures } = world;
  try {
    for (const [index, { given: turn, request, response, note }] of exchanges.entries()) {
      if (turn) world.turn(turn);
      const path = fill(request.path, captures).replace(/^\/machines(?=[/?]|$)/, prefix);
      const answer = await send(`${world.url}${path}`, request, captures);
      const name = `exchange ${index + 1}: ${request.method} ${path}${note === undefined ? '' : ` (${note})`}`;
      await compare(answer, response, captures, name);
    }
  } finally {
    await world.close();
  }
}

function send(url: string, { method, headers, body, text }: GoldenRequest, captures: Captures) {
  const sent = new Headers({ Authorization: fill(`Bearer \${key}`, captures) });
  if (body !== undefined) sent.set('Content-Type', 'application/json');
  for (const [name, value] of Object.entries(headers)) {
    if (value === null) sent.delete(name);
    else sent.set(name, fill(value, captures));
  }
  const json = body === undefined ? null : JSON.stringify(fillAll(body, captures));
  // As bytes, for which fetch adds no content type.
  const content = text === undefined ? json : fill(text, captures);
  return fetch(url, {
    method,
    headers: sent,
    ...(content === null ? {} : { body: new TextEncoder().encode(content) }),
  });
}

async function compare(
  answer: Response,
  expected: GoldenResponse,
  captures: Captures,
  name: string,
): Promise<void> {
  const text = await answer.text();
  const type = answer.headers.get('content-type');
  const body: unknown = text === '' ? null : JSON.parse(text);
  const settled = {
    status: expected.status,
    type: expected.body === null ? null : 'application/json',
    body: settle(expected.body, body, captures),
  };
  expect({ status: answer.status, type, body }, name).toEqual(settled);
  const headers = Object.entries(expected.headers).map(([header, value]) => {
    const actual = answer.headers.get(header);
    return { header, actual, expected: settle(value, actual, captures) };
  });
  for (const { header, actual, expected: wanted } of headers)
    expect(actual, `${name}: ${header}`).toBe(wanted);
  if (answer.status >= 400) {
    const requestId = answer.headers.get('x-request-id');
    expect(body, name).toMatchObject({ error: { request_id: requestId } });
  }
}
