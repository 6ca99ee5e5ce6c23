/**
 * `bench proxy`: the reverse proxy beside nginx, both before the same program of this host; what it holds in memory while
 * much passes through it; a WebSocket through it, through two bare pipes and without either; and the first byte from a paused machine, with a real guest.
 */
import { join } from 'node:path';
import type { BenchContext } from '../bench-context.ts';
import { startServer } from '../child.ts';
import { interleave } from '../interleave.ts';
import { type BenchReport, measured, ratio } from '../report.ts';
import { median } from '../statistics.ts';
import { endpointOf, Workplace } from '../workplace.ts';
import { EchoClient } from './echo.ts';
import { rateAndTail } from './load.ts';
import { startNginx } from './nginx.ts';
import { growthWhileStreaming } from './streaming.ts';
import { measureWake } from './wake.ts';

const roundsDefault = 9;
const warmUpRounds = 2;
const burstMs = 2_000;
const quickBurstMs = 300;
const streamBytes = 2 ** 30;
const quickStreamBytes = 2 ** 27;
const here = import.meta.dirname;

export async function benchProxy(context: BenchContext): Promise<BenchReport> {
  const { signal, say, isQuick } = context;
  const rounds = context.samples ?? roundsDefault;
  await using workplace = await Workplace.open(context);
  const start = async (...args: readonly string[]) => {
    const server = await startServer(args, context.env, (line) => line.startsWith('http:'), signal);
    workplace.defer(() => server.close());
    return server;
  };
  const program = endpointOf((await start(join(here, 'program.ts'))).readyLine);
  const directory = await workplace.directory('state');
  const server = await start(join(here, 'proxy-server.ts'), directory, program.host, String(program.port));
  const proxy = endpointOf(server.readyLine);
  const { pathname: path } = new URL(server.readyLine);
  const nginx = await startNginx(workplace, program, context);
  const relay = endpointOf(
    (await start(join(here, 'relay.ts'), program.host, String(program.port))).readyLine,
  );

  const tails: { readonly ours: number[]; readonly theirs: number[] } = { ours: [], theirs: [] };
  const burst = async (name: 'ours' | 'theirs') => {
    const [endpoint, prefix] = name === 'ours' ? [proxy, path] : [nginx, ''];
    const { rate, p99Ms } = await rateAndTail(
      endpoint,
      `${prefix}/`,
      isQuick ? quickBurstMs : burstMs,
      signal,
    );
    tails[name].push(p99Ms);
    return rate;
  };
  const warmUps = Math.min(warmUpRounds, rounds);
  const options = { rounds, warmUps, signal } as const;
  const [ours = [], theirs = []] = await interleave(
    [
      { name: 'proxy', measure: () => burst('ours') },
      { name: 'nginx', measure: () => burst('theirs') },
    ],
    {
      ...options,
      onRound: (round) => say(`proxy ${round + 1}/${rounds}: requests through the proxy and nginx`),
    },
  );
  const oursP99 = tails.ours.slice(warmUps);
  const theirsP99 = tails.theirs.slice(warmUps);

  await using echoes = await EchoClient.open(`ws://${proxy.host}:${proxy.port}${path}/`);
  await using direct = await EchoClient.open(`ws://${program.host}:${program.port}/`);
  await using relayed = await EchoClient.open(`ws://${relay.host}:${relay.port}/`);
  const [through = [], joined = [], straight = []] = await interleave(
    [
      { name: 'proxy', measure: () => echoes.medianMs() },
      { name: 'relay', measure: () => relayed.medianMs() },
      { name: 'direct', measure: () => direct.medianMs() },
    ],
    { ...options, onRound: (round) => say(`proxy ${round + 1}/${rounds}: a WebSocket`) },
  );

  say('proxy: streaming');
  const bytes = isQuick ? quickStreamBytes : streamBytes;
  const growth = await growthWhileStreaming(server.pid, proxy, path, bytes, signal);
  const wake = await measureWake(context, workplace, rounds);
  return {
    bench: 'proxy',
    results: [
      ratio('proxy_rate_over_nginx', ours, theirs, median),
      ratio('proxy_p99_over_nginx', oursP99, theirsP99, median),
      measured('proxy_rss_growth_mib', 'MiB', growth, (samples) => Math.max(...samples)),
      ratio('ws_echo_over_direct', through, straight, median),
      ratio('ws_echo_over_relay', through, joined, median),
      ratio('wake_paused_over_request', wake.paused, wake.running, median),
      measured('proxy_rate', 'requests/s', ours, median),
      measured('nginx_rate', 'requests/s', theirs, median),
      measured('proxy_p99_ms', 'ms', oursP99, median),
      measured('request_ms', 'ms', wake.running, median),
    ],
  };
}
