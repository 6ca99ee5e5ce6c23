/**
 * Which test files boot guests or run QEMU itself all the time. They need a host that set-up has prepared, and minutes;
 * all others run in `make check`. There `support/no-guests.ts` keeps guests from booting, so this list cannot lack one.
 */
export const vmTestFiles = [
  'src/engines/qemu/driver.test.ts',
  'src/engines/qemu/jail.test.ts',
  'test/crash/commands.test.ts',
  'test/crash/daemon.test.ts',
  'test/crash/host-reboot.test.ts',
  'test/crash/kill-at-every-step.test.ts',
  'test/e2e/**/*.test.ts',
];

export const testFiles = [
  'src/**/*.test.ts',
  'sdk/**/*.test.ts',
  'cli/**/*.test.ts',
  'bench/**/*.test.ts',
  'scripts/**/*.test.ts',
  'test/**/*.test.ts',
];

const never = ['**/node_modules/**'];
const everywhere = ['test/support/leaks.ts'];

/** For vitest; between them all test files. */
export const projects = [
  {
    extends: true as const,
    test: {
      name: 'no-vm',
      include: testFiles,
      exclude: [...never, ...vmTestFiles],
      setupFiles: [...everywhere, 'test/support/no-guests.ts'],
    },
  },
  {
    extends: true as const,
    test: { name: 'vm', include: vmTestFiles, exclude: never, setupFiles: everywhere },
  },
];
