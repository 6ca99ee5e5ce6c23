/**
 * Provides the machine with which `flotilla up` demonstrates the API, even if others create or start it
 * concurrently.
 */
import { type FlotillaClient, FlotillaError, type Machine } from '../../sdk/src/index.ts';
import { sleep } from '../lib/abort.ts';

export const firstMachine = { name: 'first', image: 'busybox', vcpu_count: 1, mem_size_mib: 128 };

const limitMs = 240_000;
/** Retry interval: if the machine is not running after it, start it again. */
const waitSeconds = 5;
const pauseMs = 50;

/**
 * Creates and starts the machine, unless another caller does. Throws the API's refusal, or the machine's
 * failure; follows other callers' actions for up to `timeoutMs`.
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

/** Whether a start was refused because another caller is acting on the machine, or has just done so. */
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

/** Null when it does not run yet, or is gone. Throws when it has failed. */
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
