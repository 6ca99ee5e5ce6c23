/** Streamed answers: bytes as fast as the client reads, and signs of life in silent streams of events. */

/** Proxies close idle connections after 60 s or more. */
const heartbeatMs = 10_000;

export const ndjson = 'application/x-ndjson';
export const eventStream = 'text/event-stream';

/** Headers of a stream of events that nobody may keep or hold back. */
export const liveHeaders = { 'Cache-Control': 'no-store', 'X-Accel-Buffering': 'no' };

/** Which kind of stream the client asks for; null: none. */
export function streamWanted(accept: string | undefined): typeof ndjson | typeof eventStream | null {
  for (const part of accept?.split(',') ?? []) {
    const type = part.trim().split(';')[0]?.toLowerCase();
    if (type === ndjson || type === eventStream) return type;
  }
  return null;
}

/**
 * Bytes as fast as the client reads; a client that disconnects ends the iteration. When it fails, `cut` closes the
 * connection, because a regular end would mean that all was sent.
 */
export function toStream(content: AsyncIterable<Uint8Array>, cut: () => void): ReadableStream<Uint8Array> {
  const iterator = content[Symbol.asyncIterator]();
  return new ReadableStream<Uint8Array>(
    {
      async pull(controller) {
        try {
          const { done, value } = await iterator.next();
          if (done) controller.close();
          else controller.enqueue(value);
        } catch {
          cut();
          controller.close();
        }
      },
      async cancel() {
        await iterator.return?.();
      },
    },
    { highWaterMark: 1 },
  );
}

/** The items, with null after each ten seconds of silence. */
export async function* withHeartbeats<T>(items: AsyncIterable<T>): AsyncGenerator<T | null> {
  const iterator = items[Symbol.asyncIterator]();
  try {
    let pending: Promise<IteratorResult<T>> | null = null;
    for (;;) {
      pending ??= iterator.next();
      const result = await orSilence(pending);
      if (result === null) {
        yield null;
        continue;
      }
      pending = null;
      if (result.done) return;
      yield result.value;
    }
  } finally {
    await iterator.return?.();
  }
}

async function orSilence<T>(promise: Promise<T>): Promise<T | null> {
  const { promise: silence, resolve } = Promise.withResolvers<null>();
  const timer = setTimeout(() => resolve(null), heartbeatMs);
  try {
    return await Promise.race([promise, silence]);
  } finally {
    clearTimeout(timer);
  }
}
