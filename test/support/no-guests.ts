/**
 * Runs around every test file that `vm-tests.ts` does not list: hides what set-up has made, so that no guest
 * can boot. A file that needs a guest then fails until it is listed. Programs may fill this cache with their
 * own files.
 */
import { rmSync } from 'node:fs';
import { afterAll } from 'vitest';

const directory = `/tmp/c${process.pid}/no-cache`;

process.env.FLOTILLA_CACHE_DIR = directory;

afterAll(() => rmSync(`/tmp/c${process.pid}`, { recursive: true, force: true }));
