/** `bench quota`: how many machines too many concurrent creations make against a quota. */
import { AppError } from '../src/core/errors.ts';
import type { BenchContext } from './bench-context.ts';
import { encodeRequest, HttpConnection } from './http-connection.ts';
import { machineSize } from './machine-calls.ts';
import { type BenchReport, measured } from './report.ts';
import { type BenchDaemon, Workplace } from './workplace.ts';

const roundsDefault = 3;
const creations = 200;
const connectionsCount = 50;
const limit = 10;

export async function benchQuota(context: BenchContext): Promise<BenchReport> {
  await using workplace = await Workplace.open(context);
  const daemon = await workplace.startDaemon();
  const connections: HttpConnection[] = [];
  workplace.defer(async () => {
    for (const connection of connections) connection[Symbol.dispose]();
  });
  for (let index = 0; index < connectionsCount; index += 1)
    connections.push(await HttpConnection.open(daemon));
  const [first] = connections;
  if (first === undefined) throw new AppError('internal', 'there is no connection');
  await first.expect(200, request(daemon, 'PUT', '/api/v1/quotas/default', { machines: limit }));

  const beyond: number[] = [];
  const durations: number[] = [];
  const rounds = context.samples ?? roundsDefault;
  for (let round = 0; round < rounds; round += 1) {
    context.signal.throwIfAborted();
    const begun = performance.now();
    const made = await createAll(context, daemon, connections);
    durations.push(performance.now() - begun);
    beyond.push(Math.max(0, made.length - limit));
    context.say(
      `quota ${round + 1}/${rounds}: ${made.length} of ${creations} creations admitted, ${limit} allowed`,
    );
    if (made.length < limit)
      throw new AppError('internal', `only ${made.length} of ${limit} machines were made`);
    for (const id of made) await first.expect(204, request(daemon, 'DELETE', `/machines/${id}?force=true`));
  }
  return {
    bench: 'quota',
    results: [
      measured('quota_oversubscribed', 'machines', beyond, (samples) => Math.max(...samples)),
      measured('quota_round_ms', 'ms', durations, (samples) => Math.max(...samples)),
    ],
  };
}

/** Sends all creations at once, over all connections; resolves with the ids of the machines. */
async function createAll(
  { image, signal }: BenchContext,
  daemon: BenchDaemon,
  connections: readonly HttpConnection[],
): Promise<readonly string[]> {
  const made: string[] = [];
  let next = 0;
  const work = async (connection: HttpConnection) => {
    for (let index = next++; index < creations; index = next++) {
      signal.throwIfAborted();
      const body = {
        ...{ name: `quota-${index}`, image, vcpu_count: machineSize.vcpuCount },
        ...{ mem_size_mib: machineSize.memoryMib, disk_size_mib: machineSize.diskMib },
      };
      const answer = await connection.send(request(daemon, 'POST', '/machines', body));
      const text = answer.body.toString();
      const { id, error } = JSON.parse(text) as { id?: string; error?: { code: string } };
      if (answer.status === 201 && id !== undefined) made.push(id);
      else if (error?.code !== 'QUOTA_EXCEEDED') {
        throw new AppError('internal', `a creation was refused: ${text}`);
      }
    }
  };
  await Promise.all(connections.map(work));
  return made;
}

function request(
  daemon: BenchDaemon,
  method: 'POST' | 'PUT' | 'DELETE',
  path: string,
  body?: object,
): Buffer {
  const { key } = daemon;
  return encodeRequest(method, path, daemon, body === undefined ? { key } : { key, body });
}
