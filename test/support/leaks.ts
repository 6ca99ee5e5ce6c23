/**
 * Runs around every test file and fails it if it leaves anything behind: files, directories, child processes,
 * processes whose arguments name its temporary directory, listening servers. Each file has its own temporary
 * directory, so that its leftovers can be told from those of other files.
 */
import { mkdirSync, readdirSync, readFileSync, rmSync } from 'node:fs';
import { afterAll } from 'vitest';
import { readProcessStat } from '../../src/lib/procfs.ts';
import { endFile } from './file-end.ts';

/** Short, because unix sockets live below it. */
const directory = `/tmp/t${process.pid}`;
/** A process that was just ended may take a moment to exit. */
const patienceMs = 5_000;
const lookMs = 50;

// Made before the test file is loaded, because loading may already use it.
mkdirSync(directory, { recursive: true });
process.env.TMPDIR = directory;

afterAll(async () => {
  await endFile();
  const until = performance.now() + patienceMs;
  let left = findLeft();
  while (left.length > 0 && performance.now() < until) {
    await new Promise((resolve) => setTimeout(resolve, lookMs));
    left = findLeft();
  }
  rmSync(directory, { recursive: true, force: true });
  if (left.length > 0) throw new Error(`this file left behind:\n${left.join('\n')}`);
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
