/** The first byte through the proxy from a paused machine, and from one that runs, with a real guest. */
import { once } from 'node:events';
import { request } from 'node:http';
import { AppError } from '../../src/core/errors.ts';
import { sleep } from '../../src/lib/abort.ts';
import type { BenchContext } from '../bench-context.ts';
import { interleave } from '../interleave.ts';
import { MachineCalls } from '../machine-calls.ts';
import { type Endpoint, endpointOf, type Workplace } from '../workplace.ts';

const guestPort = 8080;
const program = `#!/bin/sh\nmkdir -p /srv/www; echo hello >/srv/www/index.html; httpd -p ${guestPort} -h /srv/www\n`;
/** Requests after which the guest's program has been started and everything has been loaded. */
const triesMax = 200;
const retryMs = 200;

export interface WakeTimes {
  /** In milliseconds, as below. */
  readonly paused: readonly number[];
  readonly running: readonly number[];
}

export async function measureWake(
  { signal, say }: BenchContext,
  workplace: Workplace,
  rounds: number,
): Promise<WakeTimes> {
  say('proxy: starting a machine');
  const daemon = await workplace.startDaemon();
  using calls = await MachineCalls.open(daemon);
  const { id } = await calls.start('web', 'busybox', {
    memoryMib: 128,
    exposed_ports: [guestPort],
    user_data: program,
  });
  const proxy = endpointOf(daemon.proxyUrl);
  const path = `/proxy/${id}/${guestPort}/`;
  await firstAnswer(proxy, path, signal);
  const [paused = [], running = []] = await interleave(
    [
      {
        name: 'paused',
        measure: async () => {
          await calls.pause(id);
          return firstByteMs(proxy, path, signal);
        },
      },
      { name: 'running', measure: () => firstByteMs(proxy, path, signal) },
    ],
    { rounds, warmUps: 2, signal, onRound: (round) => say(`proxy ${round + 1}/${rounds}: a paused machine`) },
  );
  return { paused, running };
}

async function firstAnswer(proxy: Endpoint, path: string, signal: AbortSignal): Promise<void> {
  for (let count = 1; ; count += 1) {
    try {
      await firstByteMs(proxy, path, signal);
      return;
    } catch (error) {
      if (count === triesMax || signal.aborted) throw error;
      await sleep(retryMs, signal);
    }
  }
}

/** Over a new connection, as a visitor's. */
async function firstByteMs(proxy: Endpoint, path: string, signal: AbortSignal): Promise<number> {
  const begun = performance.now();
  const sent = request({ ...proxy, path, agent: false, signal });
  sent.end();
  const [answer] = await once(sent, 'response');
  await once(answer, 'data');
  const ms = performance.now() - begun;
  answer.resume();
  if (answer.statusCode !== 200)
    throw new AppError('unavailable', `the proxy answered ${answer.statusCode} for the guest’s program`);
  return ms;
}
