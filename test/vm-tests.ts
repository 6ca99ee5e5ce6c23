/**
 * The test files that boot guests or run QEMU. They need a host prepared by set-up, and minutes; all others
 * run in `make check`. There, `support/no-guests.ts` prevents guests from booting, so a missing entry is
 * noticed.
 */
import { globSync } from 'node:fs';
import { dirname } from 'node:path';

export const vmTestFiles = [
  'src/engines/qemu/driver.test.ts',
  'src/engines/qemu/jail.test.ts',
  'test/crash/commands.test.ts',
  'test/crash/daemon.test.ts',
  'test/crash/host-reboot.test.ts',
  'test/crash/kill-at-every-step.test.ts',
  'test/crash/snapshots-at-every-step.test.ts',
  'test/crash/terminal.test.ts',
  'test/crash/upgrade.test.ts',
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

/**
 * Files that share processes, and so load the modules that they have in common once: most of the time of a quick test is
 * spent on loading. A file that replaces modules, or changes what others of its process would see, needs a process of
 * its own: it is listed in `alone`.
 */
const alone = [
  'cli/cp.test.ts',
  'src/lib/files.test.ts',
  'src/main/failed-start.test.ts',
  'src/proxy/{exchange,private-routes,reverse-proxy}.test.ts',
  'src/storage/disks/durable.test.ts',
  'test/contract/{dialects-fuzz,fuzz,generated-clients,schemathesis,sdk-package}.test.ts',
];
const sharing = globSync(
  [
    'src/{core,engines,guest,http,lib,main,proxy,scripts,setup,ssh,storage}/**/*.test.ts',
    'sdk/src/**/*.test.ts',
    '{bench,cli,scripts}/**/*.test.ts',
    'test/{arch,contract,crash,mutations}/**/*.test.ts',
  ],
  {
    cwd: dirname(import.meta.dirname),
    exclude: alone,
  },
);

/**
 * Files whose promises have a bound in seconds, or that put hundreds of processes into a guest: they run after all others, one
 * at a time, so that the host's other work cannot break the promise.
 */
const timed = ['test/security/hostile-clients.test.ts'];
const timedVms = [
  'test/e2e/commands.test.ts',
  'test/e2e/leaks.test.ts',
  'test/e2e/proxy.test.ts',
  'test/e2e/timeouts.test.ts',
];
const afterAllOthers = { maxWorkers: 1, sequence: { groupOrder: 1 } };

const never = ['**/node_modules/**'];
const everywhere = ['test/support/leaks.ts'];
const withoutVms = [...everywhere, 'test/support/no-guests.ts'];

/** For vitest; together they cover all test files. */
export const projects = [
  {
    extends: true as const,
    test: {
      name: 'no-vm',
      include: [...sharing],
      exclude: [...never, ...vmTestFiles],
      setupFiles: withoutVms,
      isolate: false,
    },
  },
  {
    extends: true as const,
    test: {
      name: 'no-vm-alone',
      include: testFiles,
      exclude: [...never, ...vmTestFiles, ...sharing, ...timed],
      setupFiles: withoutVms,
    },
  },
  {
    extends: true as const,
    test: {
      name: 'vm',
      include: vmTestFiles,
      exclude: [...never, ...timedVms],
      setupFiles: everywhere,
    },
  },
  {
    extends: true as const,
    test: {
      name: 'no-vm-timed',
      include: timed,
      exclude: never,
      setupFiles: withoutVms,
      ...afterAllOthers,
    },
  },
  {
    extends: true as const,
    test: {
      name: 'vm-timed',
      include: timedVms,
      exclude: never,
      setupFiles: everywhere,
      ...afterAllOthers,
    },
  },
];
