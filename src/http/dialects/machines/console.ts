/** A machine's console as this dialect answers it: plain text, as it comes. */

/** No browser may take the guest's output for anything else, or keep it; no proxy may hold back what comes. */
export const textHeaders = {
  'Content-Type': 'text/plain; charset=utf-8',
  'X-Content-Type-Options': 'nosniff',
  'Cache-Control': 'no-store',
  'X-Accel-Buffering': 'no',
} as const;

/**
 * The console as valid UTF-8, pulled as fast as the client reads; who leaves ends it. Cut off, and not ended, when the
 * signal is why nothing more comes.
 */
export function toText(pieces: AsyncIterable<Uint8Array>, signal: AbortSignal): ReadableStream<Uint8Array> {
  const iterator = pieces[Symbol.asyncIterator]();
  const decoder = new TextDecoder('utf-8', { ignoreBOM: true });
  const encoder = new TextEncoder();
  return new ReadableStream<Uint8Array>(
    {
      async pull(controller) {
        // A pull that brings nothing would be the last.
        for (;;) {
          const { done, value } = await iterator.next();
          const text = done ? decoder.decode() : decoder.decode(value, { stream: true });
          if (text !== '') controller.enqueue(encoder.encode(text));
          if (done) {
            signal.throwIfAborted();
            return controller.close();
          }
          if (text !== '') return;
        }
      },
      async cancel() {
        await iterator.return?.();
      },
    },
    { highWaterMark: 1 },
  );
}
