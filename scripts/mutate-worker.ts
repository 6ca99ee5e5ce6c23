/** The program of `mutate-tests.ts`: holds one vitest for the checkout in its working directory and runs what it is sent. */
import { join } from 'node:path';
import { createVitest } from 'vitest/node';

export interface TestRequest {
  readonly file: string;
  /** Part of the test's name, as a regular expression. */
  readonly test: string;
  /** Files that have changed since the last request. */
  readonly changed: readonly string[];
}

export type TestReply =
  | { readonly kind: 'failed' | 'passed' }
  | { readonly kind: 'did not run'; readonly output: string };

const vitest = await createVitest({
  ...{ root: process.cwd(), watch: false, reporters: [{}] },
  // Some faults show as an event that never comes. None of the tests used here needs as long as this.
  ...{ testTimeout: 20_000, hookTimeout: 20_000 },
  // A worker that is used again would keep the modules of the last run.
  isolate: true,
});

process.on('message', (request: TestRequest) => {
  run(request).then(
    (reply) => process.send?.(reply),
    (error: unknown) => process.send?.({ kind: 'did not run', output: String(error) } satisfies TestReply),
  );
});
process.on('disconnect', () => process.exit());

async function run({ file, test, changed }: TestRequest): Promise<TestReply> {
  for (const path of changed) vitest.invalidateFile(path);
  vitest.setGlobalTestNamePattern(test);
  const specifications = await vitest.globTestSpecifications([file]);
  const result = await vitest.runTestSpecifications(specifications);
  // The result still has the modules of earlier runs.
  const testModules = result.testModules.filter(({ moduleId }) => moduleId === join(process.cwd(), file));
  const states = testModules.flatMap((module) =>
    [...module.children.allTests()].map((each) => each.result().state),
  );
  if (states.includes('failed')) return { kind: 'failed' };
  if (states.includes('passed')) return { kind: 'passed' };
  const errors = [...testModules.flatMap((module) => module.errors()), ...result.unhandledErrors];
  return { kind: 'did not run', output: errors.map((error) => JSON.stringify(error)).join('\n') };
}
