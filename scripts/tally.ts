/**
 * Adds up the results of `check.sh` or `test.sh` and prints their last line. Reads from the given directory:
 * `checks` (lines `pass NAME` or `fail NAME`), `vitest.json`, `vitest-again.json` (the files that failed, run once more),
 * `go.json` (`go test -json`), and `vitest.status`, `vitest-again.status` and `go.status`, which exist only if that run's exit
 * code was not 0. With `--strict` a skipped test that `allowed-skips.ts` does not name counts as a failure.
 */
import { existsSync, readFileSync } from 'node:fs';
import { join, relative } from 'node:path';
import { type AllowedSkip, allowedSkips } from './allowed-skips.ts';

export interface Tally {
  readonly passed: number;
  readonly failed: number;
  readonly skipped: number;
}

const none: Tally = { passed: 0, failed: 0, skipped: 0 };

/** Counts the static checks. */
export function tallyChecks(text: string): Tally {
  const lines = text.split('\n').filter((line) => line !== '');
  const passed = lines.filter((line) => line.startsWith('pass ')).length;
  return { ...none, passed, failed: lines.length - passed };
}

/**
 * Counts vitest's JSON report; a file that failed to load counts as one failure. Null for an invalid report.
 */
export function tallyVitest(text: string): Tally | null {
  const report = parse(text);
  if (!report || typeof report.numPassedTests !== 'number' || !Array.isArray(report.testResults)) return null;
  const files = report.testResults as readonly { status?: unknown; assertionResults?: readonly unknown[] }[];
  const unloadable = files.filter((file) => file.status === 'failed' && file.assertionResults?.length === 0);
  return {
    passed: report.numPassedTests,
    failed: Number(report.numFailedTests) + unloadable.length,
    skipped: Number(report.numPendingTests) + Number(report.numTodoTests),
  };
}

/**
 * Counts `go test -json`; a package that fails without a failing test, for example at compile time, counts as
 * one failure.
 */
export function tallyGo(text: string): Tally {
  const tally = { passed: 0, failed: 0, skipped: 0 };
  const failedPackages = new Set<string>();
  const packagesWithFailedTests = new Set<string>();
  for (const event of text.split('\n').map(parse)) {
    if (!event) continue;
    const packageName = String(event.Package ?? event.ImportPath ?? '').replace(/ \[.*/, '');
    if (event.Test === undefined) {
      if (event.Action === 'fail' || event.Action === 'build-fail') failedPackages.add(packageName);
      continue;
    }
    if (event.Action === 'pass') tally.passed++;
    if (event.Action === 'skip') tally.skipped++;
    if (event.Action === 'fail') {
      tally.failed++;
      packagesWithFailedTests.add(packageName);
    }
  }
  tally.failed += [...failedPackages].filter((name) => !packagesWithFailedTests.has(name)).length;
  return tally;
}

interface VitestFile {
  readonly name?: unknown;
  readonly assertionResults?: readonly { readonly status?: unknown; readonly fullName?: unknown }[];
}

/** The tests of a report with this status, as `FILE: TITLE`. */
function testsOf(report: string, isWanted: (status: unknown) => boolean, root: string): readonly string[] {
  const files = (parse(report)?.testResults ?? []) as readonly VitestFile[];
  return files.flatMap(({ name, assertionResults = [] }) =>
    assertionResults
      .filter(({ status }) => isWanted(status))
      .map(({ fullName }) => `${relative(root, String(name))}: ${String(fullName)}`),
  );
}

/** Names the tests that failed in the first report and passed in the second. */
export function passedAgain(first: string, again: string, root = process.cwd()): readonly string[] {
  const passed = new Set(testsOf(again, (status) => status === 'passed', root));
  return testsOf(first, (status) => status === 'failed', root).filter((name) => passed.has(name));
}

/** Names the skipped tests of both reports as `FILE: TITLE` and `PACKAGE: TEST`. */
export function skippedTests(vitest: string, go: string, root = process.cwd()): readonly string[] {
  const skips: readonly unknown[] = ['skipped', 'pending', 'todo'];
  const ofVitest = testsOf(vitest, (status) => skips.includes(status), root);
  const ofGo = go
    .split('\n')
    .map(parse)
    .filter((event) => event?.Action === 'skip' && event.Test !== undefined)
    .map((event) => `${String(event?.Package)}: ${String(event?.Test)}`);
  return [...ofVitest, ...ofGo];
}

/** Skipped tests that the list does not allow. */
export function unexpectedSkips(
  skipped: readonly string[],
  allowed: readonly AllowedSkip[],
): readonly string[] {
  return skipped.filter((name) => !allowed.some(({ test }) => name.startsWith(test)));
}

/** A runner that fails without a failed test, or runs nothing, counts as one failure. */
export function judge(tally: Tally | null, hasFailed: boolean): Tally {
  if (tally === null) return { ...none, failed: 1 };
  const isEmpty = tally.passed + tally.failed + tally.skipped === 0;
  return tally.failed === 0 && (hasFailed || isEmpty) ? { ...tally, failed: 1 } : tally;
}

/** All that failed has passed when it ran again. */
export function afterSecondRun(tally: Tally | null): Tally {
  if (tally === null) return { ...none, failed: 1 };
  return { ...tally, passed: tally.passed + tally.failed, failed: 0 };
}

export function add(tallies: readonly Tally[]): Tally {
  return tallies.reduce(
    (sum, tally) => ({
      passed: sum.passed + tally.passed,
      failed: sum.failed + tally.failed,
      skipped: sum.skipped + tally.skipped,
    }),
    none,
  );
}

export function formatTally(tally: Tally): string {
  const skipped = tally.skipped > 0 ? `, ${tally.skipped} skipped` : '';
  return `${tally.passed} passed, ${tally.failed} failed${skipped}`;
}

/** The output of failed go tests, as text. */
export function goFailures(text: string): readonly string[] {
  const events = text
    .split('\n')
    .map(parse)
    .filter((event) => event !== null);
  const key = (event: Readonly<Record<string, unknown>>) => `${event.Package ?? ''}\0${event.Test ?? ''}`;
  const failed = new Set(events.filter((event) => event.Action === 'fail').map(key));
  const isShown = (event: Readonly<Record<string, unknown>>) =>
    event.Action === 'build-output' || (event.Action === 'output' && failed.has(key(event)));
  return events.filter(isShown).map((event) => String(event.Output ?? ''));
}

function parse(text: string): Readonly<Record<string, unknown>> | null {
  try {
    const value: unknown = JSON.parse(text);
    return typeof value === 'object' && value !== null ? (value as Record<string, unknown>) : null;
  } catch {
    return null;
  }
}

function main(dir: string, isStrict: boolean): void {
  const read = (name: string) => (existsSync(join(dir, name)) ? readFileSync(join(dir, name), 'utf8') : '');
  process.stdout.write(goFailures(read('go.json')).join(''));
  const skips = isStrict
    ? unexpectedSkips(skippedTests(read('vitest.json'), read('go.json')), allowedSkips)
    : [];
  for (const name of skips) process.stdout.write(`skipped, but not in allowed-skips.ts: ${name}\n`);
  const again = passedAgain(read('vitest.json'), read('vitest-again.json'));
  for (const name of again) process.stdout.write(`passed only when it ran again: ${name}\n`);
  const total = add([
    { ...none, failed: skips.length, skipped: -skips.length },
    tallyChecks(read('checks')),
    existsSync(join(dir, 'vitest-again.json')) && !existsSync(join(dir, 'vitest-again.status'))
      ? afterSecondRun(tallyVitest(read('vitest.json')))
      : judge(tallyVitest(read('vitest.json')), existsSync(join(dir, 'vitest.status'))),
    judge(tallyGo(read('go.json')), existsSync(join(dir, 'go.status'))),
  ]);
  process.stdout.write(`${formatTally(total)}\n`);
  process.exitCode = total.failed === 0 ? 0 : 1;
}

if (import.meta.main) main(process.argv[2] ?? '.', process.argv.includes('--strict'));
