/**
 * The test files that boot guests or run QEMU. They need a host prepared by set-up, and minutes; all others
 * run in `make check`. There, `support/no-guests.ts` prevents guests from booting, so a missing entry is
 * noticed.
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

/** For vitest; together they cover all test files. */
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
