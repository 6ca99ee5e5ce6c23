/**
 * Frees the memory of buffers that have passed through this process. To V8 a buffer is a small object, so it looks for those
 * that are not used any more only when 32 MiB of them have gathered, or much later when they are older. Who passes on much
 * counts it here, and every few MiB the youngest are looked at: about a millisecond, because few are still in use.
 */
import { collectYoung } from './garbage.ts';

const bytesPerCollection = 4 * 1024 * 1024;

let passed = 0;

/** Counts bytes that have been read and passed on. */
export function passedOn(bytes: number): void {
  passed += bytes;
  if (passed < bytesPerCollection) return;
  passed = 0;
  collectYoung();
}
