/** Bytes for a body, in pieces of a socket's usual size. */
const piece = Buffer.alloc(64 * 1024, 'flotilla');

export function* pieces(bytes: number): Generator<Buffer> {
  for (let left = bytes; left > 0; left -= piece.length)
    yield piece.subarray(0, Math.min(left, piece.length));
}
