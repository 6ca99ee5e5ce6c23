/**
 * Every error has the format of the dialect whose prefix the path has, whatever the method, the path behind the prefix,
 * the key and the body. A client of one system must never have to read the error of another.
 */
import type { Agent } from 'node:http';
import fc from 'fast-check';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { type Dialect, fullPath, pickDialect } from '../../src/http/dialect.ts';
import { dialects } from '../../src/http/dialects.ts';
import type { HttpServer } from '../../src/http/server.ts';
import { type FakeFlotilla, serveFake, startFake, testKey } from '../support/fake.ts';
import { keepAliveAgent, send } from './http.ts';

const isText = (value: unknown) => typeof value === 'string' && value !== '';
const isObject = (value: unknown): value is Record<string, unknown> =>
  typeof value === 'object' && value !== null && !Array.isArray(value);

/** `{"error":{"code","message","retryable",…}}`. */
const isNeutral = (body: Record<string, unknown>) =>
  isObject(body.error) &&
  isText(body.error.code) &&
  isText(body.error.message) &&
  typeof body.error.retryable === 'boolean';

/** By dialect: whether a body is an error in its format. Those of other dialects must not pass. */
const formats: Readonly<Record<string, (body: Record<string, unknown>) => boolean>> = {
  machines: isNeutral,
  native: isNeutral,
  hypermachine: ({ error }) =>
    isObject(error) &&
    isText(error.code) &&
    isText(error.message) &&
    isObject(error.details) &&
    !('retryable' in error),
  hatch: (body) => isText(body.error) && !('ok' in body),
  ttstack: (body) => body.ok === false && isText(body.error),
};

const runs = 150;
const timeoutMs = 120_000;

let fake: FakeFlotilla;
let server: HttpServer;
let url: string;
let agent: Agent;
beforeAll(async () => {
  fake = await startFake();
  ({ server, url } = await serveFake(fake));
  agent = keepAliveAgent();
});
afterAll(async () => {
  agent.destroy();
  await server.close(0);
  await fake.close();
});

/** Paths of the dialect's routes and beside them. */
function pathsOf({ prefixes, nouns }: Dialect): fc.Arbitrary<string> {
  const templates = nouns.flatMap(({ prefixes: own, routes }) =>
    own.flatMap((prefix) => routes.map((route) => fullPath(prefix, route))),
  );
  const id = fc.constantFrom('nobody', 'vm_nobody', 'vm-nobody', 'a%20b', '%ff', 'x'.repeat(200));
  const documented = fc
    .tuple(fc.constantFrom(...templates), id)
    .map(([template, text]) => template.replaceAll(/\{\w+\}/g, text));
  const segment = fc.constantFrom('nobody', 'start', 'exec', 'v1', 'x', '%', '');
  const beside = fc
    .tuple(fc.constantFrom(...prefixes), fc.array(segment, { minLength: 1, maxLength: 3 }))
    .map(([prefix, segments]) => [prefix === '/' ? '' : prefix, ...segments].join('/'));
  return fc.oneof(documented, beside);
}

const methods = fc.constantFrom('GET', 'POST', 'PUT', 'PATCH', 'DELETE', 'PROPFIND');
const keys = fc.constantFrom<Record<string, string>>(
  { Authorization: `Bearer ${testKey}` },
  { Authorization: 'Bearer wrong' },
  { Authorization: 'Basic eA==' },
  {},
);
const bodies = fc.constantFrom(
  { type: 'application/json', body: '{' },
  { type: 'application/json', body: '[]' },
  { type: 'application/json', body: '{"nobody":"knows this field"}' },
  { type: 'application/json', body: 'null' },
  { type: 'text/plain', body: 'words' },
  { type: 'application/json', body: '' },
);

test.each(dialects.map((dialect) => [dialect.name, dialect] as const))(
  'errors of %s are in its own format',
  { timeout: timeoutMs },
  async (name, dialect) => {
    const isOfDialect = formats[name];
    if (!isOfDialect) throw new Error(`the format of the errors of ${name} is not known here`);
    const isAnyOther = Object.entries(formats)
      .filter(([, format]) => format !== isOfDialect)
      .map(([, format]) => format);
    const property = fc.asyncProperty(
      methods,
      pathsOf(dialect),
      keys,
      bodies,
      async (method, path, key, { type, body }) => {
        if (pickDialect(dialects, path).name !== name || path.startsWith('/docs') || path.startsWith('//'))
          return;
        const isRead = method === 'GET' || body === '';
        const headers = { ...key, ...(isRead ? {} : { 'Content-Type': type }) };
        const answer = await send(agent, url, { method, path, headers, body: isRead ? null : body });
        if (answer.status < 400) return;
        expect(String(answer.headers['content-type']), answer.body).toMatch(/^application\/json/);
        const parsed: unknown = JSON.parse(answer.body);
        expect(
          isObject(parsed) && isOfDialect(parsed),
          `${method} ${path}: ${answer.status} ${answer.body}`,
        ).toBe(true);
        expect(
          isAnyOther.some((format) => isObject(parsed) && format(parsed)),
          answer.body,
        ).toBe(false);
        expect(answer.status, answer.body).not.toBe(500);
      },
    );
    await fc.assert(property, { numRuns: runs, seed: 20_261_129 });
  },
);
