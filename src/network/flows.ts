/** Ends flows in the host's table of connections. */
import { ProcessError } from '../lib/process.ts';
import type { HostCommands } from './host-commands.ts';

/** Forgets all flows from and to these guests. */
export async function forgetFlows(
  commands: HostCommands,
  addresses: readonly string[],
  signal: AbortSignal,
): Promise<void> {
  for (const address of addresses) {
    const family = address.includes(':') ? 'ipv6' : 'ipv4';
    // The guest began the first kind and answered the second.
    for (const side of ['--orig-src', '--reply-src']) {
      await commands
        .run('conntrack', ['-D', '-f', family, side, address], { signal })
        .catch((error: unknown) => {
          if (!(error instanceof ProcessError) || !isNone(error)) throw error;
        });
    }
  }
}

/** It exits with 1 when there was no flow, too. */
function isNone({ exitCode, stderr }: ProcessError): boolean {
  return exitCode === 1 && /\b0 flow entries have been deleted/.test(stderr);
}
