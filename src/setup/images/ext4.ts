/** Makes the root file systems of set-up's own images reproducibly: equal trees give equal images. */
import { makeExt4 as make } from '../../lib/ext4.ts';
import type { SetupContext } from '../context.ts';

/** The timestamp of all files that we make in an image: 2025-01-01T00:00:00Z. */
export const imageEpochS = 1_735_689_600;

/** Writes `target` of exactly `sizeMib`, holding `tree` with its owners and modes. */
export async function makeExt4(
  { env, signal }: SetupContext,
  tree: string,
  target: string,
  options: { readonly label: string; readonly sizeMib: number; readonly uuid: string },
): Promise<void> {
  await make(tree, target, { ...options, env, signal, timeS: imageEpochS });
}
