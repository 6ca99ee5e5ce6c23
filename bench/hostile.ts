/**
 * `bench hostile`: time of a call to one guest while four other guests flood their links with legal frames,
 * compared with the same call alone. The guests are processes on unix sockets, not VMs: the bench measures
 * this process, which serves all links.
 */
import { randomBytes } from 'node:crypto';
import { join } from 'node:path';
import type { GuestTarget } from '../src/core/ports/guest.ts';
import { GuestClient } from '../src/guest/client.ts';
import { dialVirtioSerial } from '../src/guest/transports/virtio-serial.ts';
import type { BenchContext } from './bench-context.ts';
import { startServer } from './child.ts';
import { interleave } from './interleave.ts';
import { type BenchReport, measured, ratio } from './report.ts';
import { median, percentile, timed } from './statistics.ts';
import { Workplace } from './workplace.ts';

const roundsDefault = 20;
const warmUpRounds = 3;
const callsPerRound = 200;
const flooderCount = 4;
const peerFile = join(import.meta.dirname, 'testing', 'guest-peer.ts');
const p99 = (samples: readonly number[]) => percentile(samples, 99);

export async function benchHostile(context: BenchContext): Promise<BenchReport> {
  await using workplace = await Workplace.open(context);
  const directory = await workplace.directory('links');
  const start = async (name: string, ...behaviour: string[]): Promise<GuestTarget> => {
    const path = join(directory, name);
    const args = [peerFile, path, ...behaviour];
    const peer = await startServer(args, context.env, (line) => line === 'listening', context.signal);
    workplace.defer(() => peer.close());
    return { machineId: name, incarnation: name, address: { transport: 'virtio-serial', path } };
  };
  context.say(`hostile: starting one guest, and ${flooderCount} that flood their links`);
  const victim = await start('victim');
  const flooders: GuestTarget[] = [];
  for (let index = 1; index <= flooderCount; index += 1) flooders.push(await start(`f${index}`, 'flood'));
  const rounds = context.samples ?? roundsDefault;
  const tails: { readonly alone: number[]; readonly beside: number[] } = { alone: [], beside: [] };
  const subject = (name: 'alone' | 'beside', neighbours: readonly GuestTarget[]) => ({
    name,
    measure: async (signal: AbortSignal) => {
      const samples = await callsOf(victim, neighbours, signal);
      tails[name].push(p99(samples));
      return median(samples);
    },
  });
  const [alone = [], beside = []] = await interleave([subject('alone', []), subject('beside', flooders)], {
    rounds,
    warmUps: Math.min(warmUpRounds, rounds),
    signal: context.signal,
    onRound: (round) => context.say(`hostile ${round + 1}/${rounds}`),
  });
  return {
    bench: 'hostile',
    results: [
      ratio('hostile_neighbour_p50_ratio', beside, alone, median),
      measured('alone_p50_ms', 'ms', alone, median),
      measured('beside_p50_ms', 'ms', beside, median),
      measured('alone_p99_ms', 'ms', tails.alone.slice(-rounds), median),
      measured('beside_p99_ms', 'ms', tails.beside.slice(-rounds), median),
    ],
  };
}

/** The duration of each of the victim's calls, starting when the flooding guests are called. */
async function callsOf(
  victim: GuestTarget,
  neighbours: readonly GuestTarget[],
  signal: AbortSignal,
): Promise<readonly number[]> {
  // New links for each round: after a flood, a link is not redialled at once.
  const client = new GuestClient({
    secret: randomBytes(32),
    transports: { 'virtio-serial': dialVirtioSerial },
  });
  const over = new AbortController();
  const call = () => client.waitReady(victim, signal);
  try {
    await call();
    const flooding = neighbours.map((neighbour) =>
      client.waitReady(neighbour, over.signal).catch(() => null),
    );
    const samples: number[] = [];
    while (samples.length < callsPerRound) samples.push(await timed(async () => void (await call())));
    over.abort(new Error('the round is over'));
    await Promise.all(flooding);
    return samples;
  } finally {
    await client.close();
  }
}
