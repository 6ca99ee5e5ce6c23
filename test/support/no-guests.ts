/**
 * Runs around every test file that is not in `vm-tests.ts`: what set-up has made on this host is not there, so a guest
 * cannot boot, and a file that needs one fails here until the list names it. Programs may fill this cache with their own.
 */
import { rmSync } from 'node:fs';
import { afterAll } from 'vitest';

const directory = `/tmp/c${process.pid}/no-cache`;

process.env.FLOTILLA_CACHE_DIR = directory;

afterAll(() => rmSync(`/tmp/c${process.pid}`, { recursive: true, force: true }));
