// Fills Node's compile cache with what a daemon loads. Whoever loads a source that is not in the cache has Node's
// type stripper in memory from then on, about 60 MiB; with this a daemon does not. Usage: fill-cache.mjs
import { once } from 'node:events';
import { Worker } from 'node:worker_threads';

await import('../src/main/serve.ts');
await import('../src/store/postgres.ts');
// A thread of its own loads it; told of no database, it ends at once.
await once(new Worker(new URL('../src/store/sqlite-worker.ts', import.meta.url), { workerData: {} }), 'exit');
// The daemon's first file; it ends this process with its help.
process.argv.splice(1, process.argv.length, 'flotilla', '--help');
await import('../src/main/cli.ts');
