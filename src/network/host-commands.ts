/**
 * Runs the host's network programs (ip, nft, tc and others) in the network namespace that guests are attached to. The
 * only place of this room that starts them.
 */
import { AppError } from '../core/errors.ts';
import { ProcessError, type RunResult, run } from '../lib/process.ts';

/** Programs end in milliseconds; a transaction with thousands of elements takes a second on a busy host. */
const timeoutMs = 20_000;
/** A list of all elements of a full set. */
const outputBytesMax = 64 << 20;
const env = { PATH: '/usr/local/sbin:/usr/sbin:/sbin:/usr/local/bin:/usr/bin:/bin', LC_ALL: 'C' };

export class HostCommands {
  /** A path such as `/run/netns/x`; null: the daemon's own namespace. */
  readonly netns: string | null;

  constructor(netns: string | null) {
    this.netns = netns;
  }

  /** Rejects with ProcessError, or the signal's reason. */
  run(
    program: string,
    args: readonly string[],
    options: { readonly signal: AbortSignal; readonly stdin?: string },
  ): Promise<RunResult> {
    const [command, all] = this.inNamespace(program, args);
    const given = options.stdin === undefined ? {} : { stdin: options.stdin };
    return run(command, all, { ...given, signal: options.signal, timeoutMs, outputBytesMax, env });
  }

  /** Parses the standard output of a program that prints JSON; no output is `null`. */
  async json(program: string, args: readonly string[], signal: AbortSignal): Promise<unknown> {
    const { stdout } = await this.run(program, args, { signal });
    return stdout.trim() === '' ? null : JSON.parse(stdout);
  }

  /** `ip netns exec` would also mount another /sys, which hides the host's cgroups. */
  inNamespace(program: string, args: readonly string[]): readonly [string, readonly string[]] {
    return this.netns === null
      ? [program, args]
      : ['nsenter', [`--net=${this.netns}`, '--', program, ...args]];
  }
}

/** Rethrows as `unavailable` with what was being done; aborts and errors of ours stay as they are. */
export async function explaining<T>(what: string, signal: AbortSignal, work: () => Promise<T>): Promise<T> {
  try {
    return await work();
  } catch (error) {
    if (signal.aborted) throw signal.reason;
    if (!(error instanceof ProcessError)) throw error;
    const code = error.isTimeout ? 'timeout' : 'unavailable';
    throw new AppError(code, `${what}: ${error.message}`, {
      cause: error,
      hint: 'Run ./flotilla doctor, which says what is missing on this host.',
    });
  }
}
