/** Standard base64 (RFC 4648 §4, padded), for runtimes whose Uint8Array has no base64 methods. */

const alphabet = 'ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/';
const valueOfCode: Int8Array = makeTable();

/** A multiple of 3, so that only the last piece is padded; small enough to spread as arguments. */
const encodePieceBytes = 0x3000;

export function encodeBase64(bytes: Uint8Array): string {
  const pieces: string[] = [];
  for (let at = 0; at < bytes.length; at += encodePieceBytes) {
    pieces.push(btoa(String.fromCharCode(...bytes.subarray(at, at + encodePieceBytes))));
  }
  return pieces.join('');
}

/** Returns null when `text` is not padded standard base64. */
export function decodeBase64(text: string): Uint8Array | null {
  if (text.length % 4 !== 0) return null;
  const padding = text.endsWith('==') ? 2 : text.endsWith('=') ? 1 : 0;
  const bytes = new Uint8Array((text.length / 4) * 3 - padding);
  const whole = padding === 0 ? text.length : text.length - 4;
  let out = 0;
  let seen = 0;
  for (let at = 0; at < whole; at += 4) {
    const group =
      (value(text, at) << 18) |
      (value(text, at + 1) << 12) |
      (value(text, at + 2) << 6) |
      value(text, at + 3);
    seen |= group;
    bytes[out++] = group >> 16;
    bytes[out++] = group >> 8;
    bytes[out++] = group;
  }
  if (padding > 0) {
    const third = padding === 1 ? value(text, whole + 2) : 0;
    const group = (value(text, whole) << 18) | (value(text, whole + 1) << 12) | (third << 6);
    seen |= group;
    bytes[out++] = group >> 16;
    if (padding === 1) bytes[out++] = group >> 8;
  }
  // Invalid characters have the value -1, whose sign survives every shift and OR.
  return seen < 0 ? null : bytes;
}

function value(text: string, at: number): number {
  return valueOfCode[text.charCodeAt(at)] ?? -1;
}

function makeTable(): Int8Array {
  const table = new Int8Array(128).fill(-1);
  for (let index = 0; index < alphabet.length; index++) table[alphabet.charCodeAt(index)] = index;
  return table;
}
