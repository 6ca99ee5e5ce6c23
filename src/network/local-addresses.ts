/** The addresses at which this host itself takes packets, as its routing says; for ports that are published on one of them. */
import { z } from 'zod';
import { AppError } from '../core/errors.ts';
import { type Cidr, contains, parseCidr } from './addresses.ts';
import type { HostCommands } from './host-commands.ts';

const routesSchema = z.array(z.object({ type: z.string().optional(), dst: z.string() }));

/** Also ranges, such as 127.0.0.0/8. In the network namespace of the commands. */
export async function readLocalAddresses(
  commands: HostCommands,
  signal: AbortSignal,
): Promise<readonly Cidr[]> {
  const read = async (family: '-4' | '-6') => {
    const shown = await commands.json('ip', ['-j', family, 'route', 'show', 'table', 'local'], signal);
    return routesSchema.parse(shown ?? []);
  };
  const routes = (await Promise.all([read('-4'), read('-6')])).flat();
  return routes.filter(({ type }) => type === 'local').map(({ dst }) => parseCidr(dst));
}

/** Whether a port can be published there: every host has 127.0.0.1, and 0.0.0.0 and :: mean all. */
export function isThere(bind: string, local: readonly Cidr[]): boolean {
  return isEverywhere(bind) || local.some((range) => contains(range, bind));
}

/** Whether the host has it whatever its addresses are. */
export function isEverywhere(bind: string): boolean {
  return bind === '0.0.0.0' || bind === '::' || bind === '127.0.0.1';
}

export function notAnAddress(bind: string, cause?: unknown): AppError {
  return new AppError('invalid', `bind: not an address of this host: '${bind}'`, {
    cause,
    hint: 'Write an address of the host: 127.0.0.1 for the host alone, 0.0.0.0 for everyone.',
  });
}
