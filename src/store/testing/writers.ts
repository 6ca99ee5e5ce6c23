/** Starts child programs that write to a store, for tests in which they race or die. */
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { run } from '../../lib/process.ts';

export type Place = readonly ['file' | 'url', string];

/**
 * Runs the crash-writer until it has acknowledged `count` inserts, kills it, and returns the acknowledged
 * ids.
 */
export async function writeAndKill(place: Place, count: number): Promise<readonly string[]> {
  const program = join(import.meta.dirname, 'crash-writer.ts');
  const child = spawn(process.execPath, [program, ...place], { stdio: ['ignore', 'pipe', 'inherit'] });
  const exited = once(child, 'exit');
  const acknowledged: string[] = [];
  try {
    for await (const line of createInterface(child.stdout)) {
      acknowledged.push(line);
      if (acknowledged.length === count) child.kill('SIGKILL');
    }
  } finally {
    child.kill('SIGKILL');
    await exited;
  }
  if (child.signalCode !== 'SIGKILL') throw new Error('the writer exited by itself');
  return acknowledged;
}

/** Runs the racing writer to its end; returns the names it could insert. */
export async function race(url: string): Promise<readonly string[]> {
  const program = join(import.meta.dirname, 'racing-writer.ts');
  const { stdout } = await run(process.execPath, [program, url], { timeoutMs: 50_000 });
  return JSON.parse(stdout);
}
