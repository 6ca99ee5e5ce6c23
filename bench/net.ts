/**
 * `bench net`: what the machines' network costs, in network namespaces of its own that stand for host and guest. A
 * request through a published port is compared with one to the guest's own address; a change of one machine's rules
 * is timed while 500 machines are there.
 */
import { AppError } from '../src/core/errors.ts';
import type { NatAttachment } from '../src/core/ports/network.ts';
import { whyNoNamespaces } from '../src/network/lab/namespaces.ts';
import { hostAddress, Scene } from '../src/network/lab/scene.ts';
import type { BenchContext } from './bench-context.ts';
import { type BenchReport, measured, ratio } from './report.ts';
import { median, orderOfRound } from './statistics.ts';

const roundsDefault = 9;
const turnsPerRound = 20;
const requestsPerTurn = 20;
const changesPerRound = 5;
const machinesDefault = 500;
const machinesQuick = 50;
const restoreMs = 300_000;
const guestPort = 80;
const hostPort = 18_080;

export async function benchNet(context: BenchContext): Promise<BenchReport> {
  const reason = await whyNoNamespaces();
  if (reason !== null) {
    throw new AppError('unsupported', `the network cannot be measured here: ${reason}`, {
      hint: 'Run it as root on a host that ./flotilla setup has prepared.',
    });
  }
  const { signal, say } = context;
  const rounds = context.samples ?? roundsDefault;
  await using scene = await Scene.make();
  const guest = await scene.guest({
    ports: [{ protocol: 'tcp', bind: '0.0.0.0', hostPort, guestPort }],
  });
  await guest.space.serve('tcp', guestPort);
  const published: number[] = [];
  const direct: number[] = [];
  for (let round = 0; round < rounds; round += 1) {
    signal.throwIfAborted();
    const [toGuest, toPort] = await timeTurns(scene, guest.attachment.ipv4);
    direct.push(median(toGuest));
    published.push(median(toPort));
    say(
      `net ${round + 1}/${rounds}: ${(direct.at(-1) ?? 0).toFixed(3)} ms direct, ${(published.at(-1) ?? 0).toFixed(3)} ms through the port`,
    );
  }
  const changes = await timeChanges(context, scene, guest.attachment, rounds);
  return {
    bench: 'net',
    results: [
      ratio('dnat_over_bridge', published, direct, median),
      measured('rules_change_ms', 'ms', changes, median),
      measured('direct_request_ms', 'ms', direct, median),
    ],
  };
}

/** In short turns, each first as often as the other, so that both meet the same host. */
async function timeTurns(
  { host }: Scene,
  guestAddress: string,
): Promise<readonly [readonly number[], readonly number[]]> {
  const toGuest: number[] = [];
  const toPort: number[] = [];
  const subjects = [
    async () => toGuest.push(...(await host.time(guestAddress, guestPort, requestsPerTurn))),
    async () => toPort.push(...(await host.time(hostAddress, hostPort, requestsPerTurn))),
  ];
  for (let turn = 0; turn < turnsPerRound; turn += 1)
    for (const index of orderOfRound(turn, subjects.length)) await subjects[index]?.();
  return [toGuest, toPort];
}

async function timeChanges(
  { signal, say, isQuick }: BenchContext,
  scene: Scene,
  first: NatAttachment,
  rounds: number,
): Promise<readonly number[]> {
  const rule = { to: '203.0.113.0/24', protocol: 'tcp', ports: [{ first: 443, last: 443 }] } as const;
  const egress = { kind: 'allowlist', rules: [rule] } as const;
  const others = Array.from({ length: (isQuick ? machinesQuick : machinesDefault) - 1 }, (_, at) =>
    scene.attachment({ egress, group: `group-${at % 50}` }),
  );
  say(`net: attaching ${others.length + 1} machines`);
  const limit = AbortSignal.any([signal, AbortSignal.timeout(restoreMs)]);
  await scene.network.restore([first, ...others], limit);
  const changes: number[] = [];
  for (let round = 0; round < rounds; round += 1) {
    const samples: number[] = [];
    for (let change = 0; change < changesPerRound; change += 1) {
      const begun = performance.now();
      await scene.network.update({ ...first, egress: change % 2 === 0 ? { kind: 'deny' } : egress }, limit);
      samples.push(performance.now() - begun);
    }
    changes.push(median(samples));
    say(`net ${round + 1}/${rounds}: ${(changes.at(-1) ?? 0).toFixed(1)} ms for a change of the rules`);
  }
  return changes;
}
