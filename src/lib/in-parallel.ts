/** Work that is done side by side and belongs together. */

/** Resolves when all have; waits until each has ended, then rejects with the first rejection in the list. */
export async function inParallel<const T extends readonly Promise<unknown>[]>(
  work: T,
): Promise<{ -readonly [K in keyof T]: Awaited<T[K]> }> {
  await Promise.allSettled(work);
  return Promise.all(work);
}
