/**
 * The order of the test files, for vitest: the longest first, so that at the end no worker waits for the only one that still
 * has work. Without results of an earlier run vitest goes by the size of the files, and the longest ones are small: they try
 * many cases that other files list.
 */
import { relative } from 'node:path';
import { BaseSequencer, type TestSpecification } from 'vitest/node';

/** Each takes more than about 20 s; the longest first. */
export const longest = [
  'test/crash/kill-at-every-step.test.ts',
  'test/contract/schemathesis.test.ts',
  'test/e2e/faults.test.ts',
  'test/e2e/readme.test.ts',
  'test/contract/fuzz.test.ts',
  'test/crash/operations-postgres.test.ts',
  'test/crash/operations.test.ts',
  'test/contract/dialects-fuzz.test.ts',
  'test/security/evil-agent.test.ts',
  'src/network/lifecycle.test.ts',
  'bench/bench.test.ts',
];

export class LongestFirst extends BaseSequencer {
  override async sort(files: TestSpecification[]): Promise<TestSpecification[]> {
    const sorted = await super.sort(files);
    const rank = ({ moduleId }: TestSpecification) => {
      const place = longest.indexOf(relative(this.ctx.config.root, moduleId));
      return place === -1 ? longest.length : place;
    };
    return sorted.sort((a, b) => rank(a) - rank(b));
  }
}
