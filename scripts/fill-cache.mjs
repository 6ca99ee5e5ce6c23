// Fills Node's compile cache with the sources that a daemon loads. Loading a source that is not cached starts
// Node's type stripper, which then holds about 60 MiB. Usage: fill-cache.mjs
import { once } from 'node:events';
import { Worker } from 'node:worker_threads';

await import('../src/main/serve.ts');
await import('../src/store/postgres.ts');
// This file runs in a worker thread; without a database in workerData it exits at once.
await once(new Worker(new URL('../src/store/sqlite-worker.ts', import.meta.url), { workerData: {} }), 'exit');
// The daemon's entry point; with --help it prints the help and exits.
process.argv.splice(1, process.argv.length, 'flotilla', '--help');
await import('../src/main/cli.ts');
