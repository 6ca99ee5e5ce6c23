/**
 * Runs around every test file: what a file leaves behind fails it. Each file has a temporary directory of its own, so
 * that what is left can be told from what other files are using: files, directories, processes that were given a path in
 * it, child processes, listening servers.
 */
import { mkdirSync, readdirSync, readFileSync, rmSync } from 'node:fs';
import { afterAll } from 'vitest';
import { readProcessStat } from '../../src/lib/procfs.ts';

/** Short: unix sockets live below it. */
const directory = `/tmp/t${process.pid}`;
/** A process that was just told to end may take a moment. */
const patienceMs = 5_000;
const lookMs = 50;

// Before the test file itself is loaded, which may ask for the temporary directory at once.
mkdirSync(directory, { recursive: true });
process.env.TMPDIR = directory;

afterAll(async () => {
  const until = performance.now() + patienceMs;
  let left = findLeft();
  while (left.length > 0 && performance.now() < until) {
    await new Promise((resolve) => setTimeout(resolve, lookMs));
    left = findLeft();
  }
  rmSync(directory, { recursive: true, force: true });
  if (left.length > 0) throw new Error(`this file leaves behind:\n${left.join('\n')}`);
});

function findLeft(): readonly string[] {
  const servers = process.getActiveResourcesInfo().filter((name) => name === 'TCPServerWrap');
  return [
    ...readdirSync(directory).map((name) => `${directory}/${name}`),
    ...readdirSync('/proc')
      .filter((entry) => /^\d+$/.test(entry))
      .flatMap(describeProcess),
    ...servers.map(() => 'a listening server'),
  ];
}

function describeProcess(entry: string): readonly string[] {
  const pid = Number(entry);
  const stat = readProcessStat(pid);
  if (stat === null || stat.state === 'Z' || stat.state === 'X' || pid === process.pid) return [];
  const command = readOrEmpty(`/proc/${pid}/cmdline`).split('\0').join(' ').trim();
  const isOurs = parentOf(pid) === process.pid || command.includes(`${directory}/`);
  return isOurs ? [`process ${pid}: ${command.slice(0, 120)}`] : [];
}

function parentOf(pid: number): number {
  return Number(/^PPid:\s*(\d+)/m.exec(readOrEmpty(`/proc/${pid}/status`))?.[1]);
}

function readOrEmpty(path: string): string {
  try {
    return readFileSync(path, 'utf8');
  } catch {
    return '';
  }
}
