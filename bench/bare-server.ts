/**
 * The floor of `bench api`: one route that answers a few bytes of JSON, on Hono and on the very server that carries
 * Flotilla's application. A program of its own; prints its address, ends at SIGTERM.
 */
import { Hono } from 'hono';
import { listen } from '../src/http/server.ts';

const app = new Hono();
app.get('/', (c) => c.json({ hello: 'world' }));
const server = await listen(app.fetch, { host: '127.0.0.1', port: 0 });
process.once('SIGTERM', () => void server.close(0));
process.stdout.write(`http://${server.host}:${server.port}\n`);
