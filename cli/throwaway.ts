/**
 * A machine that lives as long as one piece of work. However the work ends (success, failure, a signal, a broken
 * pipe, at whatever point of create or start) the machine is removed before the call returns; only a second signal
 * cuts that short, and says what is left.
 */
import { randomUUID } from 'node:crypto';
import { setTimeout as sleep } from 'node:timers/promises';
import { clientErrorCodes, FlotillaError, type Machine, type MachineCreate } from '../sdk/src/index.ts';
import type { Context } from './context.ts';
import { CliError, Interruption } from './errors.ts';

export interface ThrowawayOptions {
  readonly spec: MachineCreate;
  /** Whether nobody else can have chosen the machine's name. */
  readonly isNameOurs: boolean;
  /** Leave the machine there. */
  readonly keep: boolean;
}

/** How long an interrupted create may still take before its machine is looked up by name instead. */
const createLingerMs = 15_000;
/** A machine in transit settles within this, or is left with a word to the user. */
const removalMs = 120_000;
/** A daemon that does not answer is given less. */
const unreachableMs = 10_000;
const ownerLabel = 'run-token';

/** `work` may call `keep`, when something goes on in the machine. */
export async function withThrowaway<T>(
  context: Context,
  options: ThrowawayOptions,
  work: (machine: Machine, keep: () => void) => Promise<T>,
): Promise<T> {
  const { client, interrupts, signal } = context;
  const { name } = options.spec;
  let isKept = options.keep;
  const keep = () => {
    isKept = true;
  };
  signal.throwIfAborted();
  if (!options.keep) {
    interrupts.setLastWords(`machine ${name} may be left behind; remove it with: flotilla rm -f ${name}`);
  }
  const announce = () => {
    if (signal.reason instanceof Interruption && signal.reason.bySignal && !options.keep) {
      context.note(`removing machine ${name}; once more leaves it behind`);
    }
  };
  signal.addEventListener('abort', announce, { once: true });
  try {
    const machine = await context.progress.during(
      () => `creating ${name}`,
      () => create(context, options),
    );
    if (machine.image_note) context.note(machine.image_note);
    try {
      signal.throwIfAborted();
      const start = () => client.machines.start(machine.id, { signal });
      await context.progress.during(() => `starting ${name}`, start);
      return await work(machine, keep);
    } finally {
      if (isKept) context.note(`machine ${name} is kept; remove it with: flotilla rm -f ${name}`);
      else await remove(context, machine.id, name);
    }
  } finally {
    signal.removeEventListener('abort', announce);
    interrupts.setLastWords(null);
  }
}

/**
 * Creates the machine; an interruption does not break the call off at once, for then nobody would know what came of
 * it. When the answer is lost, the machine that may have been made is removed before the failure is thrown.
 */
async function create(context: Context, options: ThrowawayOptions): Promise<Machine> {
  const { client, signal } = context;
  const token = randomUUID();
  const spec = options.isNameOurs ? options.spec : { ...options.spec, labels: { [ownerLabel]: token } };
  const patience = new AbortController();
  let timer: NodeJS.Timeout | undefined;
  const onAbort = () => {
    timer = setTimeout(() => patience.abort(signal.reason), createLingerMs);
  };
  signal.addEventListener('abort', onAbort, { once: true });
  try {
    return await client.machines.create(spec, { signal: patience.signal });
  } catch (error) {
    if (!isAnswered(error)) await removeIfMade(context, spec, options.isNameOurs ? null : token);
    throw signal.aborted ? signal.reason : error;
  } finally {
    signal.removeEventListener('abort', onAbort);
    clearTimeout(timer);
  }
}

/** Whether the failure says that nothing was created. */
function isAnswered(error: unknown): boolean {
  if (!(error instanceof FlotillaError)) return false;
  return (error.status >= 400 && error.status < 500) || error.code === clientErrorCodes.invalid;
}

/** Removes the machine of that name if it is the one `spec` asked for, and not another's that had it before. */
async function removeIfMade(context: Context, spec: MachineCreate, token: string | null): Promise<void> {
  try {
    const machine = await context.client.machines.get(spec.name, { timeoutMs: unreachableMs });
    if (token !== null && machine.labels?.[ownerLabel] !== token) return;
    await remove(context, machine.id, spec.name);
  } catch (error) {
    if (
      error instanceof FlotillaError &&
      (error.status === 404 || error.code === clientErrorCodes.unreachable)
    ) {
      return;
    }
    context.report(error, `looking for machine ${spec.name}`);
  }
}

/** Removes the machine, waiting while it is in transit; what cannot be removed is reported, not thrown. */
async function remove(context: Context, id: string, name: string): Promise<void> {
  const begun = performance.now();
  for (let attempt = 1; ; attempt++) {
    try {
      await context.client.machines.delete(id, { force: true });
      return;
    } catch (error) {
      if (error instanceof FlotillaError && error.status === 404) return;
      if (performance.now() - begun > patienceFor(error)) {
        const reason = error instanceof Error ? error.message : String(error);
        const hint = `flotilla rm -f ${name} removes it`;
        context.report(new CliError(`machine ${name} could not be removed: ${reason}`, { hint }));
        return;
      }
      await sleep(Math.min(100 * 2 ** attempt, 2_000));
    }
  }
}

/** How long a failure to remove is worth repeating, in ms. */
function patienceFor(error: unknown): number {
  if (!(error instanceof FlotillaError)) return 0;
  if (error.status === 401 || error.status === 403) return 0;
  return error.code === clientErrorCodes.unreachable ? unreachableMs : removalMs;
}
