/**
 * Runs before every test file that is not in `vm-tests.ts`: what set-up has made on this host is not there, so a guest
 * cannot boot, and a file that needs one fails here until the list names it.
 */
import { tmpdir } from 'node:os';
import { join } from 'node:path';

process.env.FLOTILLA_CACHE_DIR = join(tmpdir(), 'no-cache');
