/** `flotilla down`. */
import { type FlotillaClient, FlotillaError, type MachineSummary } from '../../sdk/src/index.ts';
import type { Config } from './config.ts';
import { findDaemon, stopDaemonProcess } from './daemon-process.ts';

const pageSize = 1000;
const atOnceMax = 8;
/** Statuses with a VMM now or soon. */
const liveStatuses = ['starting', 'running', 'paused'] as const;

/** Sets the exit code to 1 when machines should be stopped and some may still run. */
export async function down(config: Config, options: { readonly stopMachines: boolean }): Promise<void> {
  if (options.stopMachines) {
    const daemon = await findDaemon(config);
    if (!daemon) say('No daemon answers, so machines cannot be stopped. Start it first: ./flotilla up');
    if (!daemon || !(await stopMachines(daemon.client, say))) process.exitCode = 1;
  }
  const wasRunning = await stopDaemonProcess(config);
  say(wasRunning ? 'Daemon stopped' : 'No daemon was running');
}

/** Stops every running, starting or paused machine, a few at a time; false when one could not be stopped. */
export async function stopMachines(client: FlotillaClient, tell: (text: string) => void): Promise<boolean> {
  const left = await liveMachines(client);
  let areAllStopped = true;
  const work = async () => {
    for (let machine = left.shift(); machine; machine = left.shift()) {
      const name = clean(machine.name);
      try {
        await stop(client, machine.id);
        tell(`Stopped ${name}`);
      } catch (error) {
        tell(`Could not stop ${name}: ${clean(error instanceof Error ? error.message : String(error))}`);
        areAllStopped = false;
      }
    }
  };
  await Promise.all(Array.from({ length: atOnceMax }, work));
  return areAllStopped;
}

/** Lists all before stopping the first, because stopping changes the pages. */
async function liveMachines(client: FlotillaClient): Promise<MachineSummary[]> {
  const byId = new Map<string, MachineSummary>();
  for (const status of liveStatuses) {
    for (let offset = 0; ; ) {
      const { machines, total } = await client.machines.list({ status, limit: pageSize, offset });
      for (const machine of machines) byId.set(machine.id, machine);
      offset += machines.length;
      if (machines.length === 0 || offset >= total) break;
    }
  }
  return [...byId.values()];
}

/** Also succeeds when the machine stopped or was deleted meanwhile. */
async function stop(client: FlotillaClient, id: string): Promise<void> {
  try {
    await client.machines.stop(id);
  } catch (error) {
    if (!(error instanceof FlotillaError) || error.status < 400 || error.status >= 500) throw error;
    if (!(await isOver(client, id))) throw error;
  }
}

async function isOver(client: FlotillaClient, id: string): Promise<boolean> {
  try {
    const { status } = await client.machines.get(id);
    // A suspended one was just being restored.
    return status === 'stopped' || status === 'suspended';
  } catch (error) {
    return error instanceof FlotillaError && error.status === 404;
  }
}

/** Names and messages may contain escape sequences, which must not reach the terminal. */
function clean(text: string): string {
  return text.replaceAll(/[\p{Cc}\p{Cf}]/gu, '\u{fffd}');
}

function say(text: string): void {
  process.stdout.write(`${text}\n`);
}
