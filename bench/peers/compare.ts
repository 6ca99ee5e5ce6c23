/**
 * Runs `true` over HTTP, through qemu-guest-agent and through ssh, and compares the times. All guests have
 * the same image and size: the daemon's machine, and a raw VM that also runs the two other servers.
 */
import { readConfig } from '../../src/main/config.ts';
import type { BenchContext } from '../bench-context.ts';
import { interleave } from '../interleave.ts';
import { MachineCalls } from '../machine-calls.ts';
import { readBlueprint } from '../raw-machine.ts';
import { type BenchResult, measured, ratio } from '../report.ts';
import { median, timed } from '../statistics.ts';
import type { BenchDaemon, Workplace } from '../workplace.ts';
import { PeerGuest } from './guest.ts';
import { peerImage } from './image.ts';

/** An image with apt, which installs the two servers. */
const image = 'debian-12';
const roundsDefault = 30;
const warmUpRounds = 3;
const roundsBetweenWords = 10;

interface Guests {
  /** Id of the daemon's machine. */
  readonly machineId: string;
  readonly peer: PeerGuest;
}

/**
 * Returns no results, and prints why, where the comparison is impossible. The workplace ends the raw guest.
 */
export async function comparePeers(
  context: BenchContext,
  workplace: Workplace,
  daemon: BenchDaemon,
): Promise<readonly BenchResult[]> {
  try {
    return await measure(context, daemon, await start(context, workplace, daemon));
  } catch (error) {
    context.signal.throwIfAborted();
    context.say(`exec: not compared with qemu-guest-agent and ssh: ${reason(error)}`);
    return [];
  }
}

async function measure(
  context: BenchContext,
  daemon: BenchDaemon,
  guests: Guests,
): Promise<readonly BenchResult[]> {
  const overHttp = async () => {
    // A new connection: the server closes idle ones, and measuring two of the others takes longer than that.
    using calls = await MachineCalls.open(daemon);
    const request = calls.execRequest(guests.machineId);
    return await timed(() => calls.exec(request));
  };
  const rounds = context.samples ?? roundsDefault;
  const [httpMs = [], qgaMs = [], sshMs = []] = await interleave(
    [
      { name: 'http', measure: overHttp },
      { name: 'qga', measure: (signal) => timed(() => guests.peer.overQga(signal)) },
      { name: 'ssh', measure: (signal) => timed(() => guests.peer.overSsh(signal)) },
    ],
    {
      rounds,
      warmUps: Math.min(warmUpRounds, rounds),
      signal: context.signal,
      onRound: (round, [http = 0, qga = 0, ssh = 0]) => {
        if ((round + 1) % roundsBetweenWords !== 0) return;
        const times = [http, qga, ssh].map((ms) => ms.toFixed(0)).join(' · ');
        context.say(`exec ${round + 1}/${rounds}: ${times} ms (http · qemu-guest-agent · ssh)`);
      },
    },
  );
  return [
    ratio('exec_p50_over_qga', httpMs, qgaMs, median),
    ratio('exec_p50_over_ssh', httpMs, sshMs, median),
    measured('exec_debian_p50_ms', 'ms', httpMs, median),
    measured('qga_p50_ms', 'ms', qgaMs, median),
    measured('ssh_p50_ms', 'ms', sshMs, median),
  ];
}

async function start(context: BenchContext, workplace: Workplace, daemon: BenchDaemon): Promise<Guests> {
  const { env, signal } = context;
  context.say('exec: starting two guests to compare with qemu-guest-agent and ssh');
  // This connection is not kept: the server closes idle ones, and booting the other guest takes longer than
  // that.
  using calls = await MachineCalls.open(daemon);
  // Its only interface is the one that ssh comes through.
  const machine = await calls.start('peer', image, { network: { mode: 'none' } });
  const blueprint = await readBlueprint(daemon, machine);
  const directory = await workplace.directory('peers');
  const { cacheDir } = readConfig(env);
  const say = (line: string) => context.say(line);
  const disk = await peerImage({ cacheDir, env, blueprint, directory, signal, say });
  const peer = await PeerGuest.start(blueprint, disk, directory, signal);
  workplace.defer(() => peer.close());
  return { machineId: machine.id, peer };
}

function reason(error: unknown): string {
  if (!(error instanceof Error)) return String(error);
  const hint = 'hint' in error && typeof error.hint === 'string' ? ` ${error.hint}` : '';
  return `${error.message}.${hint}`;
}
