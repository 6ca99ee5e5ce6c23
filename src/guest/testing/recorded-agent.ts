/** Replays an agent of an older protocol, recorded call by call in `test/fixtures`. */
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { z } from 'zod';
import { parseLine, readLine } from '../lines.ts';
import type { YamuxStream } from '../yamux/stream.ts';

const recordedSchema = z.object({
  calls: z.array(
    z.object({
      name: z.string(),
      request: z.record(z.string(), z.unknown()),
      sent_hex: z.string(),
      answer: z.string(),
      received_hex: z.string(),
      announced: z.string().optional(),
    }),
  ),
});

type RecordedCall = z.infer<typeof recordedSchema>['calls'][number];

/** Arguments whose values differ in each call. */
const freshArguments = ['time_ns', 'entropy', 'grace_ms'];

export class RecordedAgent {
  readonly #calls: readonly RecordedCall[];
  /** The names of the replayed calls, in order. */
  readonly made: string[] = [];
  #isIdentified = false;

  constructor(fixture: string) {
    const path = join(import.meta.dirname, '../../../test/fixtures', fixture);
    this.#calls = recordedSchema.parse(JSON.parse(readFileSync(path, 'utf8'))).calls;
  }

  /** For `FakeGuest`'s `serve`. Rejects when the host sends something that was not recorded. */
  readonly serve = async (stream: YamuxStream): Promise<void> => {
    const { line, rest } = await readLine(stream);
    const request = parseLine(line);
    const call = this.#find(request);
    if (call === undefined) throw new Error(`not recorded: ${line.toString()}`);
    this.made.push(call.name);
    if (request.call === 'identify') this.#isIdentified = true;
    const [first, ...others] = [Buffer.from(call.answer), Buffer.from(call.received_hex, 'hex')];
    if (first !== undefined) await stream.write(first);
    const sent = Buffer.from(call.sent_hex, 'hex');
    let received = rest;
    while (received.length < sent.length) {
      const chunk = await stream.read();
      if (chunk === null) throw new Error(`${call.name}: the host sent too little`);
      received = Buffer.concat([received, chunk]);
    }
    if (!received.equals(sent)) throw new Error(`${call.name}: the host sent ${received.toString('hex')}`);
    for (const bytes of others) await stream.write(bytes);
    stream.close(performance.now());
  };

  #find(request: Readonly<Record<string, unknown>>): RecordedCall | undefined {
    if (request.call === 'hello')
      return this.#calls.find(
        ({ name }) => name === (this.#isIdentified ? 'hello' : 'hello before identify'),
      );
    return this.#calls.find(({ request: recorded }) => isSame(recorded, request));
  }
}

/** Whether the recorded agent would have treated the request like the recorded one. */
function isSame(
  recorded: Readonly<Record<string, unknown>>,
  request: Readonly<Record<string, unknown>>,
): boolean {
  const names = Object.keys(recorded).filter((name) => !freshArguments.includes(name));
  const isComplete = Object.keys(recorded).every((name) => typeof request[name] === typeof recorded[name]);
  return (
    isComplete && names.every((name) => JSON.stringify(recorded[name]) === JSON.stringify(request[name]))
  );
}
