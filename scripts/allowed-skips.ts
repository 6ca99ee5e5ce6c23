/** Tests that CI may skip: those that need what a host or a network may not have. Every other skip fails CI. */

export interface AllowedSkip {
  /** How `FILE: TITLE` begins, as `tally.ts` names a test. */
  readonly test: string;
  readonly reason: string;
}

export const allowedSkips: readonly AllowedSkip[] = [
  { test: 'test/contract/schemathesis.test.ts: ', reason: 'Schemathesis comes from a package index' },
  { test: 'test/contract/sdk-browser.test.ts: ', reason: 'Chromium is downloaded' },
  { test: 'test/contract/docs-page.test.ts: ', reason: 'Chromium is downloaded' },
  { test: 'cli/completion.test.ts: ', reason: 'zsh and fish come from a package mirror' },
  { test: 'cli/terminal.test.ts: ', reason: 'script(1) is in no package that is always there' },
  { test: 'src/storage/images/store.test.ts: ', reason: 'a second file system is needed' },
  { test: 'src/setup/kit/cpio.test.ts: ', reason: 'busybox with cpio comes from a package mirror' },
  { test: 'src/setup/setup.test.ts: ', reason: 'busybox comes from a package mirror' },
  { test: 'src/setup/systemd.test.ts: ', reason: 'systemd-analyze is in the package systemd' },
  { test: 'src/lib/oom.test.ts: ', reason: 'protecting a process takes CAP_SYS_RESOURCE' },
  { test: 'src/engines/qemu/jail.test.ts: ', reason: 'a host may forbid control groups or namespaces' },
];
