/** Measures the daemon's resident memory. VMMs are separate processes and are not counted. */
import { readFile } from 'node:fs/promises';
import { AppError } from '../src/core/errors.ts';
import { sleep } from '../src/lib/abort.ts';
import type { BenchContext } from './bench-context.ts';
import { MachineCalls } from './machine-calls.ts';
import { Workplace } from './workplace.ts';

/** Waits until the daemon has imported its images and the engine has freed what starting needed. */
const settleMs = 3_000;
const readings = 10;
const readingIntervalMs = 200;
const runningMachines = 20;
const runningMemoryMib = 128;

/** Memory of a daemon without machines or requests. */
export async function idleResidentMib(context: BenchContext): Promise<readonly number[]> {
  context.say('api: measuring the memory of an idle daemon');
  await using workplace = await Workplace.open(context);
  const { pid } = await workplace.startDaemon();
  return await readResident(pid, context.signal);
}

/** Memory of a daemon with running, idle machines. */
export async function runningResidentMib(context: BenchContext): Promise<readonly number[]> {
  await using workplace = await Workplace.open(context);
  const daemon = await workplace.startDaemon();
  using calls = await MachineCalls.open(daemon);
  for (let index = 1; index <= runningMachines; index += 1) {
    context.signal.throwIfAborted();
    context.say(
      `api: starting machine ${index} of ${runningMachines}, to measure the daemon’s memory with all of them`,
    );
    await calls.start(`running-${index}`, context.image, { memoryMib: runningMemoryMib });
  }
  return await readResident(daemon.pid, context.signal);
}

async function readResident(pid: number, signal: AbortSignal): Promise<readonly number[]> {
  await sleep(settleMs, signal);
  const samples: number[] = [];
  while (samples.length < readings) {
    samples.push(await residentMib(pid));
    await sleep(readingIntervalMs, signal);
  }
  return samples;
}

/** Of a process, in MiB. */
export async function residentMib(pid: number): Promise<number> {
  const kib = /^VmRSS:\s+(\d+) kB$/m.exec(await readFile(`/proc/${pid}/status`, 'utf8'))?.[1];
  if (kib === undefined) throw new AppError('internal', `process ${pid} has no memory figure in /proc`);
  return Number(kib) / 1024;
}
