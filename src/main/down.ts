/** `flotilla down`. */
import type { FlotillaClient } from '../../sdk/src/index.ts';
import type { Config } from './config.ts';
import { findDaemon, stopDaemonProcess } from './daemon-process.ts';

const pageSize = 1000;

export async function down(config: Config, options: { readonly stopMachines: boolean }): Promise<void> {
  if (options.stopMachines) {
    const daemon = await findDaemon(config);
    if (daemon) await stopMachines(daemon.client);
    else say('no daemon answers; machines cannot be stopped without one (./flotilla up starts it)');
  }
  const wasRunning = await stopDaemonProcess(config);
  say(wasRunning ? 'daemon stopped' : 'no daemon was running');
}

async function stopMachines(client: FlotillaClient): Promise<void> {
  const { machines } = await client.machines.list({ status: 'running', limit: pageSize });
  const results = await Promise.allSettled(machines.map(({ id }) => client.machines.stop(id)));
  results.forEach((result, index) => {
    const name = machines[index]?.name;
    say(result.status === 'fulfilled' ? `stopped ${name}` : `could not stop ${name}: ${result.reason}`);
  });
}

function say(text: string): void {
  process.stdout.write(`${text}\n`);
}
