/**
 * Which image a reference means. People and other systems' clients write `debian:12` or `docker.io/library/debian:12` where
 * an image here is named `debian-12`. Nothing is pulled, and another distribution is never put in the place of one that is
 * not here. Pure.
 * Example: `ghcr.io/team/app:1.2` → `ghcr.io-team-app-1.2`.
 */
import { isImageName } from './records.ts';

/** Docker's own registry, which references leave out, and its namespace of official images. */
const registryOfDocker = /^(?:(?:registry-1\.|index\.|registry\.hub\.)?docker\.io\/)?(?:library\/)?/;
const tagUsual = 'latest';

/** Tags that mean the Debian that set-up makes; the slim ones lack documentation only. */
const debian = ['latest', 'stable', 'bookworm', '12'].flatMap((tag) => [tag, `${tag}-slim`]);
const aliases: ReadonlyMap<string, string> = new Map(debian.map((tag) => [`debian:${tag}`, 'debian-12']));

/** Names to look for, the best first. A digest would have to be exact, so a reference with one means no name. */
export function namesOf(reference: string): readonly string[] {
  if (reference.includes('@')) return [];
  const short = reference.toLowerCase().replace(registryOfDocker, '');
  const colon = short.lastIndexOf(':');
  // A colon before a slash is a registry's port.
  const hasTag = colon > short.lastIndexOf('/');
  const path = hasTag ? short.slice(0, colon) : short;
  const tag = hasTag ? short.slice(colon + 1) : tagUsual;
  const name = path.replaceAll(/[/:]/g, '-');
  const alias = aliases.get(`${path}:${tag}`);
  const known = alias === undefined ? [] : [alias];
  // A plain name is meant as it is: nobody deletes `app-latest` by the name of `app`.
  if (!/[:/]/.test(reference)) return known;
  return [`${name}-${tag}`, ...(tag === tagUsual ? [name] : []), ...known];
}

/** What to do about a reference that means no image here. */
export function importHint(reference: string): string {
  const name = namesOf(reference).at(0);
  const isUsable = name !== undefined && isImageName(name);
  return `Images are not pulled from registries${isUsable ? `: import it as '${name}'` : '; import one'}.`;
}
