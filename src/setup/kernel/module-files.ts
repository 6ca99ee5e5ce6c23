/** Finds the modules of a kernel. The directory may be untrusted, so everything read or kept is bounded. */
import { opendir } from 'node:fs/promises';
import { join } from 'node:path';
import { AppError } from '../../core/errors.ts';
import { isModuleFile, moduleName } from './modinfo.ts';

/** A distribution's largest kernel has 7,000 files. */
const entriesMax = 50_000;
const depthMax = 16;
/** Of a directory, below the root. */
const pathLengthMax = 512;
/** Links for building modules, which point elsewhere or are directories in some packages. */
const besides = ['build', 'source'];

/**
 * The paths of all module files below `root` by module name, without following links; if a name occurs twice,
 * either one. Raises `unsupported` for more files than a kernel has.
 */
export async function findModuleFiles(
  root: string,
  signal: AbortSignal,
): Promise<ReadonlyMap<string, string>> {
  const refuse = (why: string) => new AppError('unsupported', `not the modules of a kernel: ${why}`);
  const files = new Map<string, string>();
  const directories = [{ path: root, depth: 0 }];
  let entries = 0;
  for (let next = directories.pop(); next; next = directories.pop()) {
    signal.throwIfAborted();
    for await (const entry of await opendir(next.path)) {
      entries += 1;
      if (entries > entriesMax) throw refuse(`more than ${entriesMax} files`);
      const path = join(next.path, entry.name);
      if (entry.isFile() && isModuleFile(entry.name)) files.set(moduleName(entry.name), path);
      if (!entry.isDirectory() || (next.depth === 0 && besides.includes(entry.name))) continue;
      if (next.depth === depthMax) throw refuse(`directories more than ${depthMax} deep`);
      if (path.length - root.length > pathLengthMax) throw refuse('a path too long');
      directories.push({ path, depth: next.depth + 1 });
    }
  }
  return files;
}
