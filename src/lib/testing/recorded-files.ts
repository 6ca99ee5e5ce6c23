/**
 * Wraps the file functions and records the order of writes, syncs and renames; for
 * `vi.mock('node:fs/promises', …)`.
 */
import type * as FilePromises from 'node:fs/promises';

type Files = typeof FilePromises;

export function recording(real: Files, calls: string[]): Files {
  const open: Files['open'] = async (path, flags, mode) => {
    const handle = await real.open(path, flags, mode);
    const record =
      <T extends (...given: never[]) => unknown>(verb: string, method: T) =>
      (...given: Parameters<T>) => {
        calls.push(`${verb} ${String(path)}`);
        return method.apply(handle, given);
      };
    return Object.assign(handle, {
      writeFile: record('write', handle.writeFile),
      sync: record('sync', handle.sync),
    });
  };
  const rename: Files['rename'] = async (from, to) => {
    calls.push(`rename ${String(from)} ${String(to)}`);
    await real.rename(from, to);
  };
  return { ...real, open, rename };
}
