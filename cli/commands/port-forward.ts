/** `port-forward`: TCP ports of a machine as ports of this host, carried by the daemon. */
import { Command } from 'commander';
import type { Machine } from '../../sdk/src/index.ts';
import type { Context } from '../context.ts';
import { CliError } from '../errors.ts';
import { Forwarder } from '../forward/forwarder.ts';
import { addresses, type PortPair, portPairs } from '../forward/port-pairs.ts';
import { openPort } from '../forward/port-socket.ts';
import { resolved } from '../resolve.ts';

interface PortForwardOptions {
  readonly address: readonly string[];
}

export function define(context: Context): Command {
  return new Command('port-forward')
    .description(
      'Forward TCP ports of this host to ports in a machine, until Ctrl-C.\n' +
        'The daemon carries the bytes: the machine needs no network, and the daemon may be elsewhere.\n' +
        '80 is port 80 on both sides, 8080:80 takes port 8080 here, and :80 a free one, which is printed.',
    )
    .argument('<machine>', 'id or name')
    .argument('<port...>', '[LOCAL:]REMOTE', portPairs)
    .option(
      '--address <address>',
      'where to listen: localhost or IP addresses, with commas between (default: 127.0.0.1)',
      addresses,
    )
    .action((word: string, ports: readonly PortPair[], { address = ['127.0.0.1'] }: PortForwardOptions) =>
      forward(context, word, ports, address),
    );
}

async function forward(
  context: Context,
  word: string,
  ports: readonly PortPair[],
  addresses: readonly string[],
): Promise<void> {
  const { client, config, signal } = context;
  const machine = await resolved(context, word, (id) => client.machines.get(id, { signal }));
  checkRunning(machine);
  await using forwarder = new Forwarder({
    open: (port) => openPort(config, machine.id, port),
    url: config.url,
    onFailure: (error, about) => context.report(error, about),
  });
  const lines: string[] = [];
  for (const pair of ports) lines.push(...(await forwarder.listen(pair, addresses)));
  const interrupted = Promise.withResolvers<void>();
  using _ = context.interrupts.firstTo((name) => {
    if (name !== 'INT') return false;
    interrupted.resolve();
    return true;
  });
  // Whoever waits for a line can connect to all ports.
  await context.print(lines.map((line) => `Forwarding from ${line}\n`).join(''));
  await Promise.race([interrupted.promise, aborted(signal)]);
}

/** Throws CliError when the machine does not run. */
function checkRunning({ name, status }: Machine): void {
  if (status === 'running') return;
  const hint =
    status === 'paused' ? `flotilla resume ${name} continues it` : `flotilla start ${name} starts it`;
  throw new CliError(`machine ${name} is ${status}, not running`, { hint });
}

/** Rejects with the signal's reason. */
function aborted(signal: AbortSignal): Promise<never> {
  return new Promise((_, reject) => {
    if (signal.aborted) reject(signal.reason);
    signal.addEventListener('abort', () => reject(signal.reason), { once: true });
  });
}
