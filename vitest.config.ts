import { defineConfig } from 'vitest/config';
import { projects } from './test/vm-tests.ts';

export default defineConfig({
  test: {
    projects,
    // Real programs and real VMs under software emulation on two cores: generous, but never without a bound.
    testTimeout: 60_000,
    hookTimeout: 120_000,
    maxWorkers: 2,
  },
});
