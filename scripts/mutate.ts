/**
 * Checks that the tests can fail. Puts each fault of `test/mutations` into a copy of the checkout and runs
 * the test that must catch it. The run fails if a fault survives or only shows as a hang. Arguments: parts of
 * fault names; without any, all faults. Ends with `N passed, N failed`.
 */
import { execFile, spawnSync } from 'node:child_process';
import { cpSync, mkdtempSync, readFileSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
import { availableParallelism, tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import type { CaughtBy, Mutation } from '../test/mutations/mutation.ts';
import { mutations } from '../test/mutations/mutations.ts';
import { type Outcome, TestProcess, timeoutMs } from './mutate-tests.ts';

const root = dirname(import.meta.dirname);

const wanted = process.argv.slice(2);
const chosen = mutations.filter(
  ({ fault }) => wanted.length === 0 || wanted.some((part) => fault.includes(part)),
);
const waiting = [...chosen];
let failures = 0;
// Some tests only wait for their deadline.
const workerCount = Math.min(availableParallelism() + 1, chosen.length);
await Promise.all(Array.from({ length: workerCount }, work));
process.stdout.write(`${chosen.length - failures} passed, ${failures} failed\n`);
process.exitCode = failures === 0 && chosen.length > 0 ? 0 : 1;

/** Takes faults from the list until it is empty, in a copy of its own: a file holds one fault at a time. */
async function work(): Promise<void> {
  const copy = copyCheckout();
  const tests = new TestProcess(copy);
  let last: CaughtBy | null = null;
  try {
    for (let mutation = waiting.shift(); mutation; mutation = waiting.shift()) {
      const started = performance.now();
      const problem = await judge(copy, tests, mutation);
      if (problem !== null) failures += 1;
      const seconds = ((performance.now() - started) / 1000).toFixed(0);
      const word = problem === null ? 'caught  ' : 'SURVIVED';
      process.stdout.write(`${word} ${mutation.fault} (${seconds} s)${problem ?? ''}\n`);
      last = mutation.caughtBy;
    }
    await expectWhole(tests, last);
  } finally {
    await tests.close();
    rmSync(copy, { recursive: true, force: true });
  }
}

/** Without a fault the last test passes: no test failed because of a fault that was there before. */
async function expectWhole(tests: TestProcess, last: CaughtBy | null): Promise<void> {
  if (last === null || 'go' in last) return;
  const outcome = await tests.run(last);
  if (outcome.kind === 'passed') return;
  failures += 1;
  process.stdout.write(`FAILED   without a fault: ${last.file}, ${last.test}: ${outcome.kind}\n`);
}

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
async function judge(copy: string, tests: TestProcess, mutation: Mutation): Promise<string | null> {
  const { file, from, to, caughtBy } = mutation;
  const path = join(copy, file);
  const text = readFileSync(path, 'utf8');
  const count = text.split(from).length - 1;
  if (count !== 1) return `: ${file} contains the text ${count} times instead of once; correct the entry`;
  const write = (content: string) => {
    writeFileSync(path, content);
    tests.changed(path);
  };
  write(text.replace(from, () => to));
  try {
    const outcome = 'go' in caughtBy ? await runGo(copy, caughtBy) : await tests.run(caughtBy);
    if (outcome.kind === 'failed') return null;
    if (outcome.kind === 'did not run') return `: the test did not run:\n${outcome.output.slice(-2_000)}`;
    return outcome.kind === 'passed' ? ': the test passes' : ': the test hangs instead of failing';
  } finally {
    write(text);
  }
}

async function runGo(copy: string, { go, test }: CaughtBy & { go: string }): Promise<Outcome> {
  const args = ['test', '-count=1', '-run', test, `./${go}`];
  const options = {
    cwd: join(copy, 'guest-agent'),
    encoding: 'utf8' as const,
    timeout: timeoutMs,
    killSignal: 'SIGKILL' as const,
    maxBuffer: 64 * 1024 * 1024,
  };
  return new Promise((resolve) => {
    execFile('go', args, options, (failure, stdout, stderr) => {
      const output = `${stdout}${stderr}`;
      if (failure?.killed === true) resolve({ kind: 'hanging' });
      else if (/^--- FAIL: /m.test(output)) resolve({ kind: 'failed' });
      else if (/^ok\s.*\d+s$/m.test(output)) resolve({ kind: 'passed' });
      else resolve({ kind: 'did not run', output });
    });
  });
}
