/**
 * A machine in one line, for scripts and agents:
 *
 *   await using machine = await Machine.create({ image: 'busybox' });
 *   const { stdout } = await machine.run('uname -r', { check: true });
 *
 * The daemon and the key come from the options or, in Node, from FLOTILLA_URL and FLOTILLA_KEY.
 */
import { FlotillaClient } from './client.ts';
import type { LaunchMachine, MachineHandle } from './handle.ts';
import type { CallOptions, TransportOptions } from './transport.ts';
import type { Machine as MachineBody } from './types.ts';

/** Where the daemon is, and limits of the call. */
export type ConnectOptions = Partial<TransportOptions> & CallOptions;

const urlDefault = 'http://127.0.0.1:3000';

/** A machine as the API describes it. */
export type Machine = MachineBody;

export const Machine = {
  /**
   * Creates a machine and starts it; resolves when its guest answers. What is absent has a default: image and disk those of
   * the server, one processor, 512 MiB, a name of its own. When the start fails, the machine is removed.
   */
  create(machine: LaunchMachine = {}, options: ConnectOptions = {}): Promise<MachineHandle> {
    return clientOf(options).machines.launch(machine, callOptions(options));
  },

  /** A machine that exists, by id or name; it is not started. */
  connect(idOrName: string, options: ConnectOptions = {}): Promise<MachineHandle> {
    return clientOf(options).machines.handle(idOrName, callOptions(options));
  },
};

function clientOf({ signal: _, timeoutMs: __, ...transport }: ConnectOptions): FlotillaClient {
  const { FLOTILLA_URL: url = urlDefault, FLOTILLA_KEY: key } = environment();
  return new FlotillaClient({ url, ...(key === undefined ? {} : { key }), ...transport });
}

function callOptions({ signal, timeoutMs }: ConnectOptions): CallOptions {
  return { signal, timeoutMs };
}

/** Empty in browsers. */
function environment(): Readonly<Record<string, string | undefined>> {
  const { process } = globalThis as {
    readonly process?: { readonly env?: Record<string, string | undefined> };
  };
  return process?.env ?? {};
}
