/**
 * The baseline of `bench api`: one route that answers a few bytes of JSON, on Hono and the same server code
 * as the daemon. Runs as a separate program; prints its address and exits on SIGTERM.
 */
import { Hono } from 'hono';
import { listen } from '../src/http/server.ts';

const app = new Hono();
app.get('/', (c) => c.json({ hello: 'world' }));
const server = await listen(app.fetch, { host: '127.0.0.1', port: 0 });
process.once('SIGTERM', () => void server.close(0));
process.stdout.write(`http://${server.host}:${server.port}\n`);
