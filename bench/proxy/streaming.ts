/** How much the proxy's memory grows while much passes through it. */

import { once } from 'node:events';
import { request } from 'node:http';
import { Readable } from 'node:stream';
import { text } from 'node:stream/consumers';
import { pipeline } from 'node:stream/promises';
import { AppError } from '../../src/core/errors.ts';
import { residentMib } from '../memory.ts';
import type { Endpoint } from '../workplace.ts';
import { pieces } from './pieces.ts';

const warmUpBytes = 2 ** 26;
const lookMs = 50;

/** In MiB: the most that was resident above what was before, while so many bytes went out, and then in. */
export async function growthWhileStreaming(
  pid: number,
  proxy: Endpoint,
  path: string,
  bytes: number,
  signal: AbortSignal,
): Promise<readonly number[]> {
  await download(proxy, path, warmUpBytes, signal);
  await upload(proxy, path, warmUpBytes, signal);
  const growth: number[] = [];
  for (const stream of [download, upload]) {
    const before = await residentMib(pid);
    const most = await mostWhile(pid, stream(proxy, path, bytes, signal));
    growth.push(most - before);
  }
  return growth;
}

async function mostWhile(pid: number, work: Promise<void>): Promise<number> {
  let most = await residentMib(pid);
  const look = async () => {
    most = Math.max(most, await residentMib(pid));
  };
  const timer = setInterval(() => void look(), lookMs);
  try {
    await work;
  } finally {
    clearInterval(timer);
  }
  await look();
  return most;
}

async function download(proxy: Endpoint, path: string, bytes: number, signal: AbortSignal): Promise<void> {
  const sent = request({ ...proxy, path: `${path}/bytes/${bytes}`, agent: false, signal });
  sent.end();
  const [answer] = await once(sent, 'response');
  let count = 0;
  for await (const chunk of answer) count += chunk.length;
  check(count, bytes);
}

async function upload(proxy: Endpoint, path: string, bytes: number, signal: AbortSignal): Promise<void> {
  const headers = { 'content-length': bytes };
  const sent = request({ ...proxy, path: `${path}/`, method: 'POST', headers, agent: false, signal });
  const answered = once(sent, 'response');
  await pipeline(Readable.from(pieces(bytes)), sent);
  const [answer] = await answered;
  check(Number(await text(answer)), bytes);
}

function check(count: number, bytes: number): void {
  if (count !== bytes) throw new AppError('internal', `${count} of ${bytes} bytes passed through the proxy`);
}
