/**
 * Prints the test files that failed in a report of vitest, one a line, relative to the working directory: `checks.sh` runs them
 * once more. Prints nothing for more than three: then the change is at fault, not the moment.
 */
import { readFileSync } from 'node:fs';
import { relative } from 'node:path';

const most = 3;

/** Null for a report that cannot be read. */
export function failedFiles(report: string): readonly string[] | null {
  try {
    const { testResults } = JSON.parse(report) as {
      testResults: readonly { name: string; status: string }[];
    };
    return testResults.filter(({ status }) => status === 'failed').map(({ name }) => name);
  } catch {
    return null;
  }
}

if (import.meta.main) {
  const files = failedFiles(readFileSync(process.argv[2] ?? '', 'utf8')) ?? [];
  if (files.length <= most)
    process.stdout.write(files.map((file) => `${relative(process.cwd(), file)}\n`).join(''));
}
