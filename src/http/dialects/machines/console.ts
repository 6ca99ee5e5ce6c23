/** A machine's console as this dialect answers it: plain text, as it comes. */

/** No browser may take the guest's output for anything else, or keep it; no proxy may hold back what comes. */
export const textHeaders = {
  'Content-Type': 'text/plain; charset=utf-8',
  'X-Content-Type-Options': 'nosniff',
  'Cache-Control': 'no-store',
  'X-Accel-Buffering': 'no',
} as const;

/**
 * The console as valid UTF-8, pulled as fast as the client reads; who leaves ends it. When the pieces fail, `cut` ends the
 * connection: a stream that ends by itself says that the machine did.
 */
export function toText(pieces: AsyncIterable<Uint8Array>, cut: () => void): ReadableStream<Uint8Array> {
  const iterator = pieces[Symbol.asyncIterator]();
  const decoder = new TextDecoder('utf-8', { ignoreBOM: true });
  const encoder = new TextEncoder();
  const next = async (): Promise<string | null> => {
    // A pull that brings nothing would be the last.
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
