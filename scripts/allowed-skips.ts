/**
 * Tests that may be skipped in CI because the host or network may lack what they need. Any other skip fails
 * CI.
 */

export interface AllowedSkip {
  /** Beginning of `FILE: TITLE`, the way `tally.ts` names a test. */
  readonly test: string;
  readonly reason: string;
}

export const allowedSkips: readonly AllowedSkip[] = [
  { test: 'test/contract/schemathesis.test.ts: ', reason: 'Schemathesis needs a package index' },
  { test: 'test/contract/sdk-package.test.ts: in a browser', reason: 'Chromium needs a download' },
  { test: 'test/contract/docs-page.test.ts: ', reason: 'Chromium needs a download' },
  { test: 'test/e2e/web-terminal.test.ts: the page of the README', reason: 'Chromium needs a download' },
  { test: 'test/e2e/hypermachine.test.ts: ', reason: 'Python packages need a package index' },
  { test: 'cli/completion.test.ts: ', reason: 'zsh and fish need a package mirror' },
  { test: 'cli/terminal.test.ts: ', reason: 'script(1) may not be installed' },
  {
    test: 'test/e2e/docker.test.ts: ',
    reason: 'needs a kernel of `flotilla kernel build`, which takes 10 minutes',
  },
  { test: 'src/storage/images/store.test.ts: ', reason: 'needs a second file system' },
  { test: 'src/setup/kit/cpio.test.ts: ', reason: 'busybox with cpio needs a package mirror' },
  { test: 'src/scripts/module.test.ts: ', reason: 'needs Rust with its WebAssembly target' },
  { test: 'src/setup/setup.test.ts: ', reason: 'busybox needs a package mirror' },
  { test: 'src/setup/systemd.test.ts: ', reason: 'systemd-analyze is in the package systemd' },
  { test: 'src/lib/oom.test.ts: ', reason: 'needs CAP_SYS_RESOURCE' },
  { test: 'src/engines/qemu/jail.test.ts: ', reason: 'the host may forbid cgroups or namespaces' },
];
