import { execFileSync } from 'node:child_process';
import { join } from 'node:path';
import { expect, it } from 'vitest';

/** Runs in a child process, because the test runner's own score must not change. */
function inChild(code: string): string {
  const lib = join(import.meta.dirname, 'oom.ts');
  const run = join(import.meta.dirname, 'process.ts');
  const script = `import { protectFromOom } from ${JSON.stringify(lib)}; import { run } from ${JSON.stringify(run)};
    import { readFileSync } from 'node:fs'; ${code}`;
  return execFileSync(process.execPath, ['--input-type=module', '-e', script], { encoding: 'utf8' }).trim();
}

it('protects the daemon and not the programs it runs', ({ skip }) => {
  if (inChild('console.log(protectFromOom());') === 'false')
    return skip('lowering the score needs CAP_SYS_RESOURCE, which this process does not have');
  const code = `const did = protectFromOom();
    const child = await run('sh', ['-c', 'sleep 0.2; cat /proc/self/oom_score_adj'], { timeoutMs: 10_000 });
    console.log(did, readFileSync('/proc/self/oom_score_adj', 'utf8').trim(), child.stdout.trim());`;
  expect(inChild(code)).toBe('true -900 0');
});

it.runIf(process.geteuid?.() === 0)('returns false without the right', () => {
  expect(inChild('process.setuid(700_000); console.log(protectFromOom());')).toBe('false');
});
