/**
 * A real Better Auth server with its API-key plugin. Users sign up and make keys over HTTP, as in Hatch's dashboard.
 * Better Auth itself serves no route that verifies keys; the two here call it as the dashboard's does.
 */
import { once } from 'node:events';
import { createServer, type IncomingMessage } from 'node:http';
import type { AddressInfo } from 'node:net';
import { betterAuth } from 'better-auth';
import { memoryAdapter } from 'better-auth/adapters/memory';
import { toNodeHandler } from 'better-auth/node';
import { apiKey } from 'better-auth/plugins';
import { z } from 'zod';

export interface BetterAuthServer extends AsyncDisposable {
  /** Answers `{valid,userId}`, as Hatch's dashboard does. */
  readonly url: string;
  /** Answers what Better Auth itself says. */
  readonly rawUrl: string;
  /** How many keys were asked about. */
  readonly count: number;
  makeUser(name: string): Promise<string>;
  makeKey(userId: string): Promise<{ key: string; id: string }>;
  disable(userId: string, keyId: string): Promise<void>;
}

const password = 'a password of some length';
/** Better Auth serves requests with a cookie only from here. */
const origin = 'http://127.0.0.1';
const verifyPath = '/api/auth/api-key/verify';
const rawPath = '/raw';

export async function startBetterAuth(): Promise<BetterAuthServer> {
  const database = { user: [], session: [], account: [], verification: [], apikey: [] };
  const auth = betterAuth({
    baseURL: origin,
    secret: 'a secret of more than thirty-two characters',
    database: memoryAdapter(database),
    emailAndPassword: { enabled: true },
    telemetry: { enabled: false },
    plugins: [apiKey({ defaultPrefix: 'hatch_', rateLimit: { enabled: true, maxRequests: 5 } })],
  });
  const handle = toNodeHandler(auth);
  let count = 0;
  async function verify(request: IncomingMessage): Promise<object> {
    count += 1;
    const chunks: Buffer[] = [];
    for await (const chunk of request) chunks.push(chunk as Buffer);
    const { key } = z.object({ key: z.string() }).parse(JSON.parse(Buffer.concat(chunks).toString()));
    const answer = await auth.api.verifyApiKey({ body: { key } });
    return request.url === rawPath ? answer : { valid: answer.valid, userId: answer.key?.userId ?? null };
  }
  const server = createServer(async (request, response) => {
    if (request.url !== verifyPath && request.url !== rawPath) return void handle(request, response);
    const answer = await verify(request);
    response.setHeader('Content-Type', 'application/json');
    response.end(JSON.stringify(answer));
  });
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  const url = `${origin}:${(server.address() as AddressInfo).port}`;
  const cookies = new Map<string, string>();
  async function post(path: string, body: object, userId?: string): Promise<Response> {
    const cookie = userId === undefined ? {} : { Cookie: cookies.get(userId) ?? '' };
    const response = await fetch(`${url}/api/auth${path}`, {
      method: 'POST',
      headers: { 'Content-Type': 'application/json', Origin: origin, ...cookie },
      body: JSON.stringify(body),
    });
    if (!response.ok) throw new Error(`${path}: ${response.status} ${await response.text()}`);
    return response;
  }
  return {
    url: `${url}${verifyPath}`,
    rawUrl: `${url}${rawPath}`,
    get count() {
      return count;
    },
    async makeUser(name) {
      const response = await post('/sign-up/email', { name, password, email: `${name}@example.com` });
      const { user } = z.object({ user: z.object({ id: z.string() }) }).parse(await response.json());
      const pairs = response.headers.getSetCookie().map((each) => each.split(';')[0]);
      cookies.set(user.id, pairs.join('; '));
      return user.id;
    },
    async makeKey(userId) {
      const response = await post('/api-key/create', { expiresIn: 2 * 86_400 }, userId);
      return z.object({ key: z.string(), id: z.string() }).parse(await response.json());
    },
    async disable(userId, keyId) {
      await post('/api-key/update', { keyId, enabled: false }, userId);
    },
    async [Symbol.asyncDispose]() {
      server.closeAllConnections();
      server.close();
      await once(server, 'close');
    },
  };
}
