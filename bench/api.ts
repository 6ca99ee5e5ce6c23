/** `bench api`: requests per second that the daemon answers, compared with its bare HTTP server. */
import type { BenchContext } from './bench-context.ts';
import { encodeRequest } from './http-connection.ts';
import { interleave, type Subject } from './interleave.ts';
import { Load } from './load.ts';
import { idleResidentMib, runningResidentMib } from './memory.ts';
import { recordMachines } from './recorded-machines.ts';
import { type BenchReport, type BenchResult, measured, ratio } from './report.ts';
import { median } from './statistics.ts';
import { type Endpoint, Workplace } from './workplace.ts';

const roundsDefault = 20;
const warmUpRounds = 3;
const recordedMachines = { usual: 1000, quick: 100 };
/** Long enough to include whole garbage collections, so that samples are comparable. */
const burstMs = { usual: 500, quick: 100 };

export async function benchApi(context: BenchContext): Promise<BenchReport> {
  const rates = await measureRates(context);
  const idle = await idleResidentMib(context);
  const results = [...rates, measured('daemon_rss_idle_mib', 'MiB', idle, median)];
  if (!context.isQuick) {
    const running = await runningResidentMib(context);
    results.push(measured('daemon_rss_20_mib', 'MiB', running, median));
  }
  return { bench: 'api', results };
}

async function measureRates(context: BenchContext): Promise<readonly BenchResult[]> {
  await using workplace = await Workplace.open(context);
  let ids: readonly string[] = [];
  const how = context.isQuick ? 'quick' : 'usual';
  context.say(`api: recording ${recordedMachines[how]} machines`);
  const daemon = await workplace.startDaemon({
    prepare: async (layout) => {
      ids = await recordMachines(layout, recordedMachines[how]);
    },
  });
  const bare = await workplace.startBareServer();
  const gets = ids.map((id) => encodeRequest('GET', `/machines/${id}`, daemon, { key: daemon.key }));

  const place = { workplace, durationMs: burstMs[how] };
  const rounds = context.samples ?? roundsDefault;
  const [bareRate = [], getRate = [], listRate = []] = await interleave(
    [
      await subject('bare', place, bare, [encodeRequest('GET', '/', bare)]),
      await subject('get', place, daemon, gets),
      await subject('list', place, daemon, [encodeRequest('GET', '/machines', daemon, { key: daemon.key })]),
    ],
    {
      rounds,
      warmUps: Math.min(warmUpRounds, rounds),
      signal: context.signal,
      onRound: (round, rates) =>
        context.say(
          `api ${round + 1}/${rounds}: ${rates.map((rate) => rate.toFixed(0)).join(' · ')} requests/s (bare · get · list)`,
        ),
    },
  );
  return [
    ratio('get_rate_over_bare', getRate, bareRate, median),
    ratio('list_rate_over_bare', listRate, bareRate, median),
    measured('bare_rate', 'requests/s', bareRate, median),
    measured('get_rate', 'requests/s', getRate, median),
    measured('list_rate', 'requests/s', listRate, median),
  ];
}

/** Sends the requests round-robin, over connections that stay open between rounds. */
async function subject(
  name: string,
  { workplace, durationMs }: { readonly workplace: Workplace; readonly durationMs: number },
  endpoint: Endpoint,
  requests: readonly Buffer[],
): Promise<Subject> {
  const load = await Load.open(endpoint);
  workplace.defer(async () => load[Symbol.dispose]());
  let count = 0;
  const next = () => {
    count += 1;
    return requests[count % requests.length] ?? Buffer.alloc(0);
  };
  return { name, measure: (signal) => load.burst(next, durationMs, signal) };
}
