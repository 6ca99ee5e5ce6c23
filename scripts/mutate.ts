/**
 * Checks that the tests can fail. Puts each fault of `test/mutations` into a copy of the checkout and runs
 * the test that must catch it. The run fails if a fault survives or only shows as a hang. Arguments: parts of
 * fault names; without any, all faults. Ends with `N passed, N failed`.
 */
import { spawnSync } from 'node:child_process';
import { cpSync, mkdtempSync, readFileSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import type { CaughtBy, Mutation } from '../test/mutations/mutation.ts';
import { mutations } from '../test/mutations/mutations.ts';

const root = dirname(import.meta.dirname);
/** For one test run. A test that takes longer counts as hanging. */
const timeoutMs = 180_000;

const wanted = process.argv.slice(2);
const chosen = mutations.filter(
  ({ fault }) => wanted.length === 0 || wanted.some((part) => fault.includes(part)),
);
const copy = copyCheckout();
let failures = 0;
try {
  for (const mutation of chosen) {
    const problem = judge(mutation);
    if (problem !== null) failures += 1;
    process.stdout.write(`${problem === null ? 'caught  ' : 'SURVIVED'} ${mutation.fault}${problem ?? ''}\n`);
  }
} finally {
  rmSync(copy, { recursive: true, force: true });
}
process.stdout.write(`${chosen.length - failures} passed, ${failures} failed\n`);
process.exitCode = failures === 0 && chosen.length > 0 ? 0 : 1;

/** Copies all files that git tracks or would track, and links node_modules. */
function copyCheckout(): string {
  const directory = mkdtempSync(join(tmpdir(), 'mutate-'));
  const list = spawnSync('git', ['ls-files', '-z', '--cached', '--others', '--exclude-standard'], {
    cwd: root,
    encoding: 'utf8',
    maxBuffer: 16 * 1024 * 1024,
  });
  if (list.status !== 0) throw new Error(`git ls-files: ${list.stderr}`);
  for (const path of list.stdout.split('\0').filter(Boolean)) {
    cpSync(join(root, path), join(directory, path), { force: true });
  }
  for (const path of ['node_modules', 'sdk/node_modules', '.toolchain']) {
    symlinkSync(join(root, path), join(directory, path));
  }
  return directory;
}

/** Null when the test catches the fault; otherwise the reason why not. */
function judge({ file, from, to, caughtBy }: Mutation): string | null {
  const path = join(copy, file);
  const text = readFileSync(path, 'utf8');
  const count = text.split(from).length - 1;
  if (count !== 1) return `: ${file} contains the text ${count} times instead of once; correct the entry`;
  writeFileSync(
    path,
    text.replace(from, () => to),
  );
  try {
    const { signal, output } = runTest(caughtBy);
    if (signal !== null) return ': the test hangs instead of failing';
    if (/Tests\s+\d+ failed|^--- FAIL: /m.test(output)) return null;
    if (/Tests\s+\d+ passed|^ok\s.*\d+s$/m.test(output)) return ': the test passes';
    return `: the test did not run:\n${output.slice(-2_000)}`;
  } finally {
    writeFileSync(path, text);
  }
}

function runTest(caughtBy: CaughtBy) {
  const [command, args, cwd] =
    'go' in caughtBy
      ? ([
          'go',
          ['test', '-count=1', '-run', caughtBy.test, `./${caughtBy.go}`],
          join(copy, 'guest-agent'),
        ] as const)
      : (['vitest', ['run', caughtBy.file, '-t', caughtBy.test], copy] as const);
  const { status, signal, stdout, stderr } = spawnSync(command, args, {
    cwd,
    encoding: 'utf8',
    timeout: timeoutMs,
    killSignal: 'SIGKILL',
    maxBuffer: 64 * 1024 * 1024,
  });
  return { status, signal, output: `${stdout}${stderr}` };
}
