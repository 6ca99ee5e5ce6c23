/** Plans which modules the guest loads before it mounts its root file system, and in which order. */
import { AppError } from '../../core/errors.ts';

/** Required by every guest: for its devices, the guest link's port, the root disk and its file system. */
export const requiredModules = ['virtio_mmio', 'virtio_console', 'virtio_blk', 'ext4'] as const;

/** Optional: guests of a kernel without these do without them. */
export const optionalModules = [
  'virtio_net',
  'af_packet',
  'virtio_rng',
  'virtio_balloon',
  'overlay',
] as const;

/**
 * For machine types with a PCI bus or a vsock device. Loading them costs 40 to 80 ms per boot under
 * emulation, so a guest loads them only when the others did not bring its devices.
 */
export const fallbackModules = ['virtio_pci', 'vmw_vsock_virtio_transport'] as const;

export interface ModuleSource {
  isBuiltin(name: string): boolean;
  /** Null when the kernel has no such module. */
  depends(name: string): Promise<readonly string[] | null>;
}

export interface ModuleWishes {
  readonly required: readonly string[];
  readonly optional: readonly string[];
  readonly fallback: readonly string[];
}

/** Load orders: each module after its dependencies; built-in ones omitted. */
export interface ModulePlan {
  readonly first: readonly string[];
  /** Loaded after `first`; contains nothing from `first`. */
  readonly fallback: readonly string[];
  /** Optional and fallback modules that this kernel lacks. */
  readonly absent: readonly string[];
}

const defaultWishes: ModuleWishes = {
  required: requiredModules,
  optional: optionalModules,
  fallback: fallbackModules,
};

/** Plans the load orders. Raises `unsupported` when a required module, or a dependency of any, is missing. */
export async function planModules(source: ModuleSource, wishes = defaultWishes): Promise<ModulePlan> {
  const seen = new Set<string>();
  const absent: string[] = [];
  const visit = async (name: string, wantedBy: string, order: string[]): Promise<void> => {
    if (seen.has(name) || source.isBuiltin(name)) return;
    seen.add(name);
    const depends = await source.depends(name);
    if (depends === null) {
      throw new AppError('unsupported', `this kernel has no module ${name}, which ${wantedBy} needs`);
    }
    for (const dependency of depends) await visit(dependency, name, order);
    order.push(name);
  };
  const visitExisting = async (names: readonly string[], order: string[]): Promise<void> => {
    for (const name of names) {
      if (!source.isBuiltin(name) && (await source.depends(name)) === null) absent.push(name);
      else await visit(name, 'the guest', order);
    }
  };
  const first: string[] = [];
  const fallback: string[] = [];
  for (const name of wishes.required) await visit(name, 'every guest', first);
  await visitExisting(wishes.optional, first);
  await visitExisting(wishes.fallback, fallback);
  return { first, fallback, absent };
}

/** Names in a `modules.builtin` file (one path per line), in the kernel's spelling. */
export function parseBuiltins(text: string): ReadonlySet<string> {
  const names = text
    .split('\n')
    .filter((line) => line !== '')
    .map((line) =>
      line
        .slice(line.lastIndexOf('/') + 1)
        .replace(/\.ko$/, '')
        .replaceAll('-', '_'),
    );
  return new Set(names);
}
