/** The last step to `running`: waits until the guest answers, then sends its identity and the time. */
import { abortable } from '../../../lib/abort.ts';
import { AppError } from '../../errors.ts';
import type { StepContext } from '../../operations/definition.ts';
import type { EngineHandle } from '../../ports/engine.ts';
import type { GuestIdentity } from '../../ports/guest.ts';
import type { Machine } from '../machine.ts';
import type { MachineStep } from '../subject.ts';
import { type Edges, engineOf, guestOf } from './context.ts';

/**
 * Fails as soon as the VMM is gone, and with `timeout` when the guest has not answered within `timeoutMs`.
 * After a boot, the guest gets its identity; after a pause (`resync`) it keeps the names that its users have
 * given it.
 */
export function readyStep(
  edges: Edges,
  timeoutMs: number,
  tell: 'identify' | 'resync' = 'identify',
): MachineStep {
  return {
    name: 'ready',
    isVolatile: true,
    timeoutMs,
    async do(context) {
      const { subject: machine } = context;
      const target = guestOf(machine);
      await whileAlive(edges, context, timeoutMs, async (signal) => {
        await edges.guest.waitReady(target, signal);
        await edges.guest[tell](target, identityOf(machine), signal);
      });
    },
  };
}

/** Fails as soon as the VMM is gone, instead of waiting for the deadline. */
async function whileAlive(
  edges: Edges,
  context: StepContext<Machine>,
  timeoutMs: number,
  work: (signal: AbortSignal) => Promise<void>,
): Promise<void> {
  const { subject: machine } = context;
  const controller = new AbortController();
  const signal = AbortSignal.any([context.signal, controller.signal]);
  const stopWatching = engineOf(edges, machine).onExit(machine.handle as EngineHandle, (facts) =>
    controller.abort(
      new AppError('engine', `the guest did not come up: ${facts.reason}`, { details: { ...facts } }),
    ),
  );
  try {
    await abortable(work(signal), signal);
  } catch (error) {
    if (controller.signal.aborted) throw controller.signal.reason;
    if (!context.signal.aborted) throw error;
    throw new AppError('timeout', `the guest did not answer within ${timeoutMs / 1000} s`, {
      cause: error,
      hint: 'The last console lines say how far it came.',
    });
  } finally {
    stopWatching();
  }
}

/** The identity of the machine's guest. */
export function identityOf(machine: Machine): GuestIdentity {
  return { hostname: guestHostname(machine), machineId: guestMachineId(machine) };
}

/** The guest's machine-id: 32 hexadecimal digits, constant across boots and unique per machine. */
function guestMachineId(machine: Machine): string {
  return Array.from(machine.id.padEnd(16, '0').slice(0, 16), (character) =>
    character.charCodeAt(0).toString(16).padStart(2, '0'),
  ).join('');
}

/** The machine's name as a host name: RFC 1123 labels hold [a-z0-9-], at most 63, no hyphen at the ends. */
function guestHostname(machine: Machine): string {
  const label = machine.spec.name
    .toLowerCase()
    .replace(/[^a-z0-9-]+/g, '-')
    .slice(0, 63)
    .replace(/^-+|-+$/g, '');
  return label || machine.id;
}
