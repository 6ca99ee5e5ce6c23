/** Reads on which ports programs of the host listen, from the tables in /proc of the network namespace. */
import { readFile } from 'node:fs/promises';
import type { BusyPorts } from '../core/ports/network.ts';
import { ProcessError } from '../lib/process.ts';
import type { HostCommands } from './host-commands.ts';

/** `TCP_LISTEN`; sockets of UDP that are not connected have the state `TCP_CLOSE`. */
const listening = { tcp: '0A', udp: '07' } as const;

export async function readBusyPorts(commands: HostCommands, signal: AbortSignal): Promise<BusyPorts> {
  const read = async (protocol: 'tcp' | 'udp') => {
    const tables = await Promise.all([protocol, `${protocol}6`].map((name) => table(commands, name, signal)));
    return portsOf(tables.join('\n'), listening[protocol]);
  };
  const [tcp, udp] = await Promise.all([read('tcp'), read('udp')]);
  return { tcp, udp };
}

/** Empty where the kernel has no such protocol, as one without IPv6. */
async function table(commands: HostCommands, name: string, signal: AbortSignal): Promise<string> {
  const path = `/proc/self/net/${name}`;
  try {
    if (commands.netns === null) return await readFile(path, { encoding: 'utf8', signal });
    return (await commands.run('cat', [path], { signal })).stdout;
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ENOENT') return '';
    if (error instanceof ProcessError && error.stderr.includes('No such file')) return '';
    throw error;
  }
}

/** From lines such as `0: 0100007F:0BB8 00000000:0000 0A …`. Pure. */
export function portsOf(text: string, state: string): ReadonlySet<number> {
  const line = /^\s*\d+: [0-9A-F]+:([0-9A-F]{4}) [0-9A-F]+:[0-9A-F]{4} ([0-9A-F]{2}) /gm;
  return new Set(
    [...text.matchAll(line)]
      .filter(([, , its]) => its === state)
      .map(([, port = '']) => Number.parseInt(port, 16)),
  );
}
