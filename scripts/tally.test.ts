import { describe, expect, it, test } from 'vitest';
import { failedFiles } from './failed-files.ts';
import {
  add,
  afterSecondRun,
  formatTally,
  goFailures,
  judge,
  passedAgain,
  skippedTests,
  tallyChecks,
  tallyGo,
  tallyVitest,
  unexpectedSkips,
} from './tally.ts';

const lines = (...events: readonly object[]) => events.map((event) => JSON.stringify(event)).join('\n');

describe('tally', () => {
  it('counts static checks', () => {
    expect(tallyChecks('pass tsc\nfail biome\npass go vet\n')).toEqual({ passed: 2, failed: 1, skipped: 0 });
    expect(tallyChecks('')).toEqual({ passed: 0, failed: 0, skipped: 0 });
  });

  it('reads vitest’s report, including files that fail to load', () => {
    const report = {
      numPassedTests: 3,
      numFailedTests: 1,
      numPendingTests: 2,
      numTodoTests: 0,
      testResults: [
        { status: 'failed', assertionResults: [] },
        { status: 'failed', assertionResults: [{ status: 'failed' }] },
        { status: 'passed', assertionResults: [{ status: 'passed' }] },
      ],
    };
    expect(tallyVitest(JSON.stringify(report))).toEqual({ passed: 3, failed: 2, skipped: 2 });
    expect(tallyVitest('')).toBeNull();
    expect(tallyVitest('{}')).toBeNull();
  });

  it('reads go test’s report and counts a package that fails without a test once', () => {
    const text = lines(
      { Action: 'pass', Package: 'a', Test: 'TestOne' },
      { Action: 'fail', Package: 'a', Test: 'TestTwo' },
      { Action: 'skip', Package: 'a', Test: 'TestThree' },
      { Action: 'fail', Package: 'a' },
      { Action: 'pass', Package: 'b' },
      { Action: 'build-fail', ImportPath: 'c [c.test]' },
      { Action: 'fail', Package: 'c' },
    );
    expect(tallyGo(`${text}\nnot json\n`)).toEqual({ passed: 1, failed: 2, skipped: 1 });
  });

  it('shows only the output of failed go tests', () => {
    const text = lines(
      { Action: 'output', Package: 'a', Test: 'TestOne', Output: 'fine\n' },
      { Action: 'output', Package: 'a', Test: 'TestTwo', Output: 'broken\n' },
      { Action: 'fail', Package: 'a', Test: 'TestTwo' },
      { Action: 'build-output', ImportPath: 'c', Output: 'undefined: x\n' },
    );
    expect(goFailures(text)).toEqual(['broken\n', 'undefined: x\n']);
  });

  it('counts a silent failure, an empty run and a missing report as failures', () => {
    const fine = { passed: 1, failed: 0, skipped: 0 };
    expect(judge(fine, false)).toEqual(fine);
    expect(judge(fine, true).failed).toBe(1);
    expect(judge({ passed: 0, failed: 0, skipped: 0 }, false).failed).toBe(1);
    expect(judge(null, false).failed).toBe(1);
    expect(judge({ passed: 0, failed: 2, skipped: 0 }, true).failed).toBe(2);
  });

  it('prints one line', () => {
    const sum = add([
      { passed: 1, failed: 0, skipped: 0 },
      { passed: 2, failed: 1, skipped: 3 },
    ]);
    expect(formatTally(sum)).toBe('3 passed, 1 failed, 3 skipped');
    expect(formatTally({ passed: 3, failed: 0, skipped: 0 })).toBe('3 passed, 0 failed');
  });
});

test('a test that passes when its file runs again is named', () => {
  const report = (...statuses: readonly string[]) =>
    JSON.stringify({
      testResults: [
        {
          name: '/repo/test/a.test.ts',
          status: statuses.includes('failed') ? 'failed' : 'passed',
          assertionResults: statuses.map((status, index) => ({ status, fullName: `test ${index}` })),
        },
      ],
    });
  const first = report('passed', 'failed', 'failed');
  expect(failedFiles(first)).toEqual(['/repo/test/a.test.ts']);
  expect(failedFiles(report('passed'))).toEqual([]);
  expect(failedFiles('')).toBeNull();
  expect(passedAgain(first, report('passed', 'passed', 'failed'), '/repo')).toEqual([
    'test/a.test.ts: test 1',
  ]);
  expect(passedAgain(first, '', '/repo')).toEqual([]);
  expect(afterSecondRun({ passed: 1, failed: 2, skipped: 1 })).toEqual({ passed: 3, failed: 0, skipped: 1 });
  expect(afterSecondRun(null).failed).toBe(1);
});

test('in CI a skip fails unless it is on the list', () => {
  const vitest = JSON.stringify({
    testResults: [
      {
        name: '/repo/src/a.test.ts',
        assertionResults: [
          { status: 'passed', fullName: 'runs' },
          { status: 'skipped', fullName: 'needs a moon' },
        ],
      },
      { name: '/repo/src/b.test.ts', assertionResults: [{ status: 'pending', fullName: 'is forgotten' }] },
    ],
  });
  const go = '{"Action":"skip","Package":"p","Test":"TestRoot"}\n{"Action":"skip","Package":"empty"}\n';
  const skipped = skippedTests(vitest, go, '/repo');
  expect(skipped).toEqual(['src/a.test.ts: needs a moon', 'src/b.test.ts: is forgotten', 'p: TestRoot']);
  const allowed = [{ test: 'src/a.test.ts: needs a moon', reason: 'there may be none' }];
  expect(unexpectedSkips(skipped, allowed)).toEqual(['src/b.test.ts: is forgotten', 'p: TestRoot']);
});
