/** Returns a function that makes a value at its first call, and returns the same one after that. A failure is not kept. */
export function lazily<T extends object | string>(make: () => T): () => T {
  let made: T | undefined;
  return () => {
    made ??= make();
    return made;
  };
}
