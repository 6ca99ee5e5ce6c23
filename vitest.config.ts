import { join } from 'node:path';
import { defineConfig } from 'vitest/config';
import { LongestFirst } from './test/longest-first.ts';
import { projects } from './test/vm-tests.ts';

// For every process and thread that the tests start: most of them spend their time on loading the same modules.
process.env.NODE_COMPILE_CACHE ??= join(import.meta.dirname, '.cache/node');

// Two daemons share no bridge, and tests leave the host's own network alone; those of networks use namespaces.
process.env.FLOTILLA_NETWORK ??= 'user';

export default defineConfig({
  test: {
    projects,
    sequence: { sequencer: LongestFirst },
    // Real programs and real VMs under software emulation on two cores: generous, but never without a bound.
    testTimeout: 60_000,
    hookTimeout: 120_000,
    // What a test waits for comes later on a busy host; vitest's second would make that a failure.
    expect: { poll: { timeout: 30_000 } },
    maxWorkers: Number(process.env.VITEST_MAX_WORKERS ?? 3),
  },
});
