/** The last step to `running`: waits until the guest answers, then sends its identity, the time and its addresses. */
import { abortable } from '../../../lib/abort.ts';
import { inParallel } from '../../../lib/in-parallel.ts';
import { AppError } from '../../errors.ts';
import type { MachineNetworks } from '../../network/networks.ts';
import type { StepContext } from '../../operations/definition.ts';
import type { Operation } from '../../operations/operation.ts';
import { diskFullReason, type EngineHandle } from '../../ports/engine.ts';
import type { GuestIdentity } from '../../ports/guest.ts';
import type { Machine } from '../machine.ts';
import type { MachineStep } from '../subject.ts';
import { type Edges, engineOf, guestOf } from './context.ts';

/**
 * Fails as soon as the VMM is gone, and with `timeout` when the guest has not answered within `timeoutMs`.
 * After a boot, the guest gets its identity; after a pause (`resync`) or when it is restored, it keeps the names that its
 * users have given it.
 */
export function readyStep(
  edges: Edges,
  networks: MachineNetworks,
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
        // A resumed guest was given its own token when it was restored.
        const previous = tell === 'identify' ? machine.handle?.restoredFrom : null;
        if (previous) await edges.guest.rekey(target, previous, signal);
        await edges.guest.waitReady(target, signal);
        if (previous && isForkOf(context.operation)) {
          await adopt(edges, networks, machine, signal);
          return;
        }
        await inParallel([
          edges.guest[previous ? 'resync' : tell](target, identityOf(machine), signal),
          networks.configure(machine, target, signal),
        ]);
      });
    },
  };
}

/** Whether the guest was another machine's until now; see `nextBoot`. */
function isForkOf({ params }: Operation): boolean {
  return params.isFork === true;
}

/** Makes the copy of another machine's guest this machine's, then tells it its addresses: its interface is down until then. */
async function adopt(
  edges: Edges,
  networks: MachineNetworks,
  machine: Machine,
  signal: AbortSignal,
): Promise<void> {
  const target = guestOf(machine);
  const adoption = { ...identityOf(machine), mac: networks.macOf(machine) };
  for (const warning of await edges.guest.adopt(target, adoption, signal))
    edges.log.warn(
      { machine: machine.id, incarnation: target.incarnation, warning },
      'guest adopted in part',
    );
  await networks.configure(machine, target, signal);
}

/** How soon a start fails after the guest was paused; QEMU answers in under 30 ms. */
const diskLookIntervalMs = 1_000;

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
  const stopLooking = abortWhenDiskIsFull(edges, machine, controller, signal);
  try {
    await abortable(work(signal), signal);
  } catch (error) {
    if (controller.signal.aborted) throw controller.signal.reason;
    if (!context.signal.aborted) throw error;
    throw new AppError('timeout', `the guest did not answer within ${timeoutMs / 1000} s`, {
      cause: error,
      hint: 'Look at the last lines of its console, which show how far it came.',
    });
  } finally {
    stopWatching();
    stopLooking();
  }
}

/**
 * Gives up when the VMM has paused the guest because the host's disk is full: nobody resumes a guest that is
 * still starting, so it would only reach the deadline, with the wrong reason.
 */
function abortWhenDiskIsFull(
  edges: Edges,
  machine: Machine,
  controller: AbortController,
  signal: AbortSignal,
): () => void {
  const look = async () => {
    const status = await engineOf(edges, machine).inspect(machine.handle as EngineHandle, signal);
    if (status.state !== 'paused' || status.reason !== diskFullReason) return;
    controller.abort(
      new AppError('exhausted', "the host's disk became full while the guest started", {
        hint: 'Free some space in the state directory, or delete machines, and start it again.',
        details: { reason: diskFullReason },
      }),
    );
  };
  // A look that fails is repeated; the exit watcher and the deadline decide when the VMM does not answer.
  return edges.clock.every(diskLookIntervalMs, () => look().catch(() => undefined));
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

/** What its user data says, else the machine's name as a host name: RFC 1123 labels hold [a-z0-9-], at most 63, no hyphen at the ends. */
function guestHostname(machine: Machine): string {
  const given = machine.spec.userData?.hostname;
  if (given != null) return given;
  const label = machine.spec.name
    .toLowerCase()
    .replace(/[^a-z0-9-]+/g, '-')
    .slice(0, 63)
    .replace(/^-+|-+$/g, '');
  return label || machine.id;
}
