/** A machine's console as a plain-text answer that is streamed. */

/** No browser may interpret or store the guest's output, and no proxy may buffer it. */
export const textHeaders = {
  'Content-Type': 'text/plain; charset=utf-8',
  'X-Content-Type-Options': 'nosniff',
  'Cache-Control': 'no-store',
  'X-Accel-Buffering': 'no',
} as const;

/**
 * The console as valid UTF-8, read as fast as the client reads; a client that disconnects ends it. When
 * reading fails, `cut` closes the connection, because a regular end would mean that the machine has stopped.
 */
export function toText(pieces: AsyncIterable<Uint8Array>, cut: () => void): ReadableStream<Uint8Array> {
  const iterator = pieces[Symbol.asyncIterator]();
  const decoder = new TextDecoder('utf-8', { ignoreBOM: true });
  const encoder = new TextEncoder();
  const next = async (): Promise<string | null> => {
    // A pull that enqueues nothing would not be repeated.
    for (;;) {
      const { done, value } = await iterator.next();
      const text = done ? decoder.decode() : decoder.decode(value, { stream: true });
      if (text !== '') return text;
      if (done) return null;
    }
  };
  return new ReadableStream<Uint8Array>(
    {
      async pull(controller) {
        try {
          const text = await next();
          if (text === null) controller.close();
          else controller.enqueue(encoder.encode(text));
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
