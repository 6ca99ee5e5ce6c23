/** Tests `flotilla bench` from outside. They check the report's form, not the measured numbers. */
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { text } from 'node:stream/consumers';
import { expect, it } from 'vitest';

const cli = join(import.meta.dirname, '..', 'src', 'main', 'cli.ts');

async function runBench(
  args: readonly string[],
  onProgress?: (kill: (signal: NodeJS.Signals) => void) => void,
): Promise<{ readonly code: number | null; readonly stdout: string; readonly stderr: string }> {
  const child = spawn(process.execPath, [cli, 'bench', ...args], {
    env: { ...process.env, TMPDIR: tmpdir() },
    stdio: ['ignore', 'pipe', 'pipe'],
  });
  child.stderr.once('data', () => onProgress?.((signal) => child.kill(signal)));
  const [stdout, stderr] = await Promise.all([text(child.stdout), text(child.stderr), once(child, 'close')]);
  return { code: child.exitCode, stdout, stderr };
}

it('prints one object with value and samples of each result, and reports progress on standard error', async () => {
  const { code, stdout, stderr } = await runBench(['api', '--json', '--quick', '--samples', '1']);
  expect(code, stderr).toBe(0);
  const report = JSON.parse(stdout) as {
    bench: string;
    results: { name: string; value: number; unit: string; samples: number[] }[];
  };
  expect(report.bench).toBe('api');
  expect(report.results.map(({ name, unit }) => [name, unit])).toEqual([
    ['get_rate_over_bare', 'ratio'],
    ['list_rate_over_bare', 'ratio'],
    ['bare_rate', 'requests/s'],
    ['get_rate', 'requests/s'],
    ['list_rate', 'requests/s'],
    ['daemon_rss_idle_mib', 'MiB'],
  ]);
  for (const { value, samples } of report.results) {
    expect(value).toBeGreaterThan(0);
    expect(samples.length).toBeGreaterThan(0);
    for (const sample of samples) expect(sample).toBeGreaterThan(0);
  }
  expect(stderr).toContain('api 1/1');
});

it('measures a guest whose neighbours flood their links', async () => {
  const { code, stdout, stderr } = await runBench(['hostile', '--json', '--samples', '1']);
  expect(code, stderr).toBe(0);
  const report = JSON.parse(stdout) as { results: { name: string; unit: string; samples: number[] }[] };
  expect(report.results.map(({ name, unit }) => [name, unit])).toEqual([
    ['hostile_neighbour_p50_ratio', 'ratio'],
    ['alone_p50_ms', 'ms'],
    ['beside_p50_ms', 'ms'],
    ['alone_p99_ms', 'ms'],
    ['beside_p99_ms', 'ms'],
  ]);
  for (const { samples } of report.results) expect(samples).toHaveLength(1);
});

it('leaves nothing behind when interrupted', async () => {
  // Anything left behind would fail this file: see test/support/leaks.ts.
  const { code, stdout } = await runBench(['api', '--json'], (kill) => kill('SIGINT'));
  expect([code, stdout]).toEqual([130, '']);
});

it('refuses what it cannot measure', async () => {
  expect(await runBench(['nothing'])).toMatchObject({ code: 2, stdout: '' });
  expect(await runBench(['api', '--samples', '0'])).toMatchObject({ code: 2, stdout: '' });
});
