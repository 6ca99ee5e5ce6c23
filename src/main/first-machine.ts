/** The machine that `flotilla up` shows the API with, whoever else is making or starting it at the same time. */
import { type FlotillaClient, FlotillaError, type Machine } from '../../sdk/src/index.ts';
import { sleep } from '../lib/abort.ts';

export const firstMachine = { name: 'first', image: 'busybox', vcpu_count: 1, mem_size_mib: 128 };

const limitMs = 240_000;
/** Retry interval: if the machine is not running after it, start it again. */
const waitSeconds = 5;
const pauseMs = 50;

/**
 * Makes and starts the machine, as far as nobody else does. Throws what the API refused, or what the machine failed with;
 * what others do to the machine meanwhile is followed for `timeoutMs`.
 */
export async function runningMachine(client: FlotillaClient, timeoutMs = limitMs): Promise<Machine> {
  const until = performance.now() + timeoutMs;
  for (;;) {
    const machine = await findOrCreate(client);
    if (machine.status === 'running') return machine;
    try {
      if (machine.status === 'paused') return await client.machines.resume(machine.id);
      return await client.machines.start(machine.id);
    } catch (error) {
      if (performance.now() > until || !(await isInOtherHands(client, machine.id, error))) throw error;
    }
    const running = await waitUntilRunning(client, machine.id);
    if (running) return running;
    await sleep(pauseMs);
  }
}

async function findOrCreate(client: FlotillaClient): Promise<Machine> {
  try {
    return await client.machines.get(firstMachine.name);
  } catch (error) {
    if (statusOf(error) !== 404) throw error;
  }
  try {
    return await client.machines.create(firstMachine);
  } catch (error) {
    if (statusOf(error) !== 409) throw error;
    return client.machines.get(firstMachine.name);
  }
}

/** Whether a start was refused because somebody else is at the machine, or has just been. */
async function isInOtherHands(client: FlotillaClient, id: string, error: unknown): Promise<boolean> {
  const refusal = statusOf(error);
  if (refusal === 404 || refusal === 409) return true;
  if (refusal !== 400) return false;
  try {
    const { status } = await client.machines.get(id);
    return status !== 'failed';
  } catch (lost) {
    if (statusOf(lost) === 404) return true;
    throw lost;
  }
}

/** Null when it does not run yet, or is gone. Throws when it failed. */
async function waitUntilRunning(client: FlotillaClient, id: string): Promise<Machine | null> {
  try {
    return await client.machines.wait(id, { status: 'running', timeout: waitSeconds });
  } catch (error) {
    const status = statusOf(error);
    if (status === 504 || status === 404) return null;
    throw error;
  }
}

function statusOf(error: unknown): number | null {
  return error instanceof FlotillaError ? error.status : null;
}
