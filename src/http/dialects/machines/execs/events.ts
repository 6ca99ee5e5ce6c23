/** A command's output as a stream of events: lines of JSON, or server-sent events whose ids are cursors. */
import type { OutputEvent } from '../../../../core/commands/command.ts';
import { type eventStream, ndjson, withHeartbeats } from '../../../streaming.ts';
import type { ExecEventBody, OutputEventBody } from './schema.ts';
import { toEventBody } from './translate.ts';

type Body = ExecEventBody | OutputEventBody;

/** The stream in a media type; `first` comes before the output. Ends with its iteration. */
export async function* toEvents(
  type: typeof ndjson | typeof eventStream,
  events: AsyncIterable<OutputEvent>,
  first: ExecEventBody | null = null,
): AsyncGenerator<Uint8Array> {
  const encode = type === ndjson ? toLine : toServerSent;
  if (first !== null) yield encode(first);
  for await (const event of withHeartbeats(events))
    yield encode(event === null ? { type: 'heartbeat' } : toEventBody(event));
}

/** Only the bytes, of both streams in the order of writing. */
export async function* toBytes(events: AsyncIterable<OutputEvent>): AsyncGenerator<Uint8Array> {
  for await (const event of events) if ('data' in event) yield event.data;
}

function toLine(body: Body): Uint8Array {
  return Buffer.from(`${JSON.stringify(body)}\n`);
}

function toServerSent(body: Body): Uint8Array {
  if (body.type === 'heartbeat') return Buffer.from(': heartbeat\n\n');
  const id = 'cursor' in body ? `id: ${body.cursor}\n` : '';
  return Buffer.from(`event: ${body.type}\n${id}data: ${JSON.stringify(body)}\n\n`);
}
