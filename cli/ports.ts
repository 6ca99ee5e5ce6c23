/** Published ports in words: what the commands about them share. */
import type { PortChange, PublishedPort } from '../sdk/src/index.ts';
import type { Context } from './context.ts';
import { CliError } from './errors.ts';
import { exitCodes } from './exit-codes.ts';

/** `80/tcp -> 127.0.0.1:8080`, as `docker port` has it. */
export function portText({ protocol, bind, host_port: port, guest_port: guest }: PublishedPort): string {
  const address = bind.includes(':') ? `[${bind}]` : bind;
  return `${guest}/${protocol} -> ${address}:${port}`;
}

/** Says that a change is recorded and not in force. */
export function warnOfDelay(context: Context, { port, in_force: isInForce }: PortChange): void {
  if (!isInForce) context.note(`${portText(port)}: recorded, and not in force yet; the daemon tries again`);
}

/** A port of the host: `8080`, `53/udp`. Throws CliError. */
export function hostPort(text: string): { readonly port: number; readonly protocol: 'tcp' | 'udp' } {
  const [, digits = '', protocol] = /^(\d{1,5})(?:\/(tcp|udp))?$/.exec(text) ?? [];
  const port = Number(digits);
  if (digits === '' || port < 1 || port > 65_535)
    throw new CliError(`'${text}' is no port of the host`, {
      hint: 'write 8080 or 53/udp',
      exitCode: exitCodes.usage,
    });
  return { port, protocol: protocol === 'udp' ? 'udp' : 'tcp' };
}
