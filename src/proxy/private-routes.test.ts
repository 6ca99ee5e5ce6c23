/** Private routes on real connections, with the real core on fake guests. */
import { once } from 'node:events';
import { afterEach, beforeEach, expect, test, vi } from 'vitest';
import { WebSocket, WebSocketServer } from 'ws';
import { type ProxyWorld, startProxyWorld, suffix, tenant } from './testing.ts';

let world: ProxyWorld;
let token: string;
const host = `shop${suffix}`;
beforeEach(async () => {
  world = await startProxyWorld();
  await world.fake.routes.create(tenant, 'web', { subdomain: 'shop', targetPort: 80, isPrivate: true });
  ({ token } = await world.fake.routes.issueToken(tenant, 'shop', 60));
  world.program = ({ url, headers }, outgoing) => outgoing.end(JSON.stringify({ url, headers }));
});
afterEach(() => world.close());

const send = (path: string, headers: Readonly<Record<string, string>> = {}) =>
  world.send(path, { headers: { host, ...headers } });
const cookie = (text: string) => ({ cookie: `a=1; flotilla_token=${text}; b=2` });

test('without a token nothing is woken, and the answer says what is missing', async () => {
  const answer = await send('/');
  expect(answer).toMatchObject({ status: 401, headers: { 'www-authenticate': 'Flotilla' } });
  expect(answer.body).toContain('This route is private');
  expect(await send('/', { accept: 'text/html' })).toMatchObject({
    status: 401,
    body: expect.stringMatching(/^<!doctype/),
  });
  expect(world.accepted()).toBe(0);
});

test('a token in the header, the address or the cookie opens it, and is not passed on', async () => {
  for (const [path, headers] of [
    ['/a?b=1', { 'x-flotilla-token': token }],
    [`/a?flotilla_token=${token}&b=1`, {}],
    ['/a?b=1', cookie(token)],
  ] as const) {
    const { status, body } = await send(path, headers);
    expect(status).toBe(200);
    expect(JSON.parse(body).url).toBe('/a?b=1');
    expect(body).not.toContain(token);
  }
  expect(JSON.parse((await send('/', cookie(token))).body).headers.cookie).toBe('a=1; b=2');
});

test('a browser gets a cookie for the token of an address, and the address without it', async () => {
  const page = { accept: 'text/html,*/*' };
  const answer = await send(`//evil.example/a?flotilla_token=${token}`, page);
  expect(answer).toMatchObject({
    status: 303,
    headers: { location: '/evil.example/a', 'referrer-policy': 'no-referrer' },
  });
  const [set = ''] = answer.headers['set-cookie'] ?? [];
  expect(set).toMatch(new RegExp(`^flotilla_token=${token}; Path=/; Expires=.+; HttpOnly; SameSite=Lax$`));
  const behindTls = await send(`/?flotilla_token=${token}`, { ...page, 'x-forwarded-proto': 'https' });
  expect(behindTls.headers['set-cookie']?.[0]).toMatch(/; Secure$/);
  expect((await send('/', { ...page, cookie: set.split(';')[0] ?? '' })).status).toBe(200);
});

test('tokens of other routes, revoked and expired ones do not open it', async () => {
  await world.fake.routes.create(tenant, 'web', { subdomain: 'other', targetPort: 80, isPrivate: true });
  const { token: foreign } = await world.fake.routes.issueToken(tenant, 'other', 60);
  expect((await send('/', { 'x-flotilla-token': foreign })).status).toBe(401);
  await world.fake.routes.revokeTokens(tenant, 'shop');
  expect((await send('/', { 'x-flotilla-token': token })).status).toBe(401);
  const { token: next } = await world.fake.routes.issueToken(tenant, 'shop', 60);
  expect((await send('/', { 'x-flotilla-token': next })).status).toBe(200);
  vi.useFakeTimers({ now: Date.now() + 61_000, toFake: ['Date'] });
  try {
    expect((await send('/', { 'x-flotilla-token': next })).status).toBe(401);
  } finally {
    vi.useRealTimers();
  }
});

test('pages of other names of the domain cannot use a browser’s cookie', async () => {
  const foreign = [
    { origin: `http://evil${suffix}` },
    { origin: 'null' },
    { 'sec-fetch-site': 'same-site', 'sec-fetch-mode': 'no-cors' },
    { 'sec-fetch-site': 'cross-site', 'sec-fetch-mode': 'websocket' },
  ];
  for (const headers of foreign) expect((await send('/', { ...cookie(token), ...headers })).status).toBe(401);
  const own = [
    { origin: `http://${host}`, 'sec-fetch-site': 'same-origin' },
    { 'sec-fetch-site': 'cross-site', 'sec-fetch-mode': 'navigate' },
  ];
  for (const headers of own) expect((await send('/', { ...cookie(token), ...headers })).status).toBe(200);
});

test('WebSockets need a token as well', async () => {
  const sockets = new WebSocketServer({ server: world.programs });
  sockets.on('connection', (socket) => socket.send('hello'));
  const open = (headers: Readonly<Record<string, string>>) =>
    new WebSocket(`ws://127.0.0.1:${world.server.port}/`, { headers: { host, ...headers } });
  const [refused] = await once(open({}), 'unexpected-response').then(([, answer]) => [answer]);
  expect(refused.statusCode).toBe(401);
  const socket = open(cookie(token));
  const [data] = await once(socket, 'message');
  expect(String(data)).toBe('hello');
  socket.terminate();
  sockets.close();
});

test('a public route asks for nothing, and a route that is made private does at once', async () => {
  await world.fake.routes.update(tenant, 'shop', { isPrivate: false });
  expect((await send('/')).status).toBe(200);
  await world.fake.routes.update(tenant, 'shop', { isPrivate: true });
  expect((await send('/', { 'x-flotilla-token': token })).status).toBe(401);
});
