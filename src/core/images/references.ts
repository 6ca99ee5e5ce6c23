/**
 * Which image a reference means: the names to look for, in order. Clients of other systems create machines
 * with references such as `alpine:latest`, and nothing is pulled from a registry. `ImageResolver` looks the
 * names up. Pure; accepts any text.
 *
 * The order: the reference itself and Docker's other spellings of it; the operator's aliases; the spelling
 * with `-` in place of `/` and `:`; the aliases that every host has.
 * Example: `docker.io/library/debian:12` → `debian:12`, …, `debian-12`.
 */
import { type ImageAlias, matchesAlias } from './aliases.ts';

/** Docker's own registry, which references leave out, and its namespace of official images. */
const registryOfDocker = /^(?:(?:registry-1\.|index\.|registry\.hub\.)?docker\.io\/)?(?:library\/)?/;
const tagUsual = 'latest';

/** Tags that mean the Debian that set-up makes; the slim ones lack documentation only. */
const debianTags = ['latest', 'stable', 'bookworm', '12'].flatMap((tag) => [tag, `${tag}-slim`]);

/** What set-up makes, the nearest to a general-purpose distribution first. */
export const builtInImages = ['debian-12', 'busybox'] as const;

/**
 * General-purpose systems that other systems' documents and clients name. Images of services, such as
 * `nginx`, are left out: a machine without the service would be of no use. So is `debian-*`, which is how
 * this host's own images are named: `debian-99` is a mistake.
 */
const usualPatterns = [
  ...['alpine', 'ubuntu'].flatMap((name) => [name, `${name}:*`, `${name}-*`]),
  ...['debian', 'debian:*', 'debian-cloud'],
  ...['rockylinux', 'rockylinux:*', 'fc-alpine', 'img_default'],
];

export interface ReferenceSettings {
  /** The operator's; the first match counts. */
  readonly aliases: readonly ImageAlias[];
  /** The image of machines created without one. */
  readonly defaultImage: string;
}

/** The names that a reference may mean, the best first. */
export function namesOf(reference: string, { aliases, defaultImage }: ReferenceSettings): readonly string[] {
  const { same, dashed, short } = spellingsOf(reference);
  const exact = [reference, ...same];
  const alias = aliasOf(reference, aliases);
  if (alias) return unique([...exact, alias.image]);
  const isUsual = usualPatterns.some((pattern) => short.some((name) => matchesAlias(pattern, name)));
  return unique([...exact, ...dashed, ...(isUsual ? [...builtInImages, defaultImage] : [])]);
}

/** The operator's alias of a reference, in any of its spellings. */
export function aliasOf(reference: string, aliases: readonly ImageAlias[]): ImageAlias | undefined {
  const exact = [reference, ...spellingsOf(reference).same];
  return aliases.find(({ pattern }) => exact.some((name) => matchesAlias(pattern, name)));
}

/** The names under which a machine's image is the one that the reference spells; aliases do not count. */
export function spelledNames(reference: string): readonly string[] {
  const { same, dashed } = spellingsOf(reference);
  return unique([reference, ...same, ...dashed]);
}

/** How the image of a machine differs from the requested one; null when it is that one. */
export function imageNote(reference: string, image: string): string | null {
  if (reference === image) return null;
  if (spelledNames(reference).includes(image))
    return `\`${reference}\` names the image ${image} of this host`;
  return `\`${reference}\` is not an image of this host; an alias maps it to ${image}`;
}

interface Spellings {
  /** Other names of the same image for Docker. */
  readonly same: readonly string[];
  /** Names without `/` and `:`. */
  readonly dashed: readonly string[];
  /** Those of `same` without Docker's registry. */
  readonly short: readonly string[];
}

function spellingsOf(reference: string): Spellings {
  // A digest would have to be exact.
  if (reference.includes('@')) return { same: [], dashed: [], short: [] };
  const lower = reference.toLowerCase().replace(registryOfDocker, '');
  const colon = lower.lastIndexOf(':');
  // A colon before a slash is a registry's port.
  const hasTag = colon > lower.lastIndexOf('/');
  const path = hasTag ? lower.slice(0, colon) : lower;
  // Only tags distinguish case.
  const tag = hasTag ? reference.slice(reference.lastIndexOf(':') + 1) : tagUsual;
  const tagged = (name: string) => [`${name}:${tag}`, ...(tag === tagUsual ? [name] : [])];
  const short = tagged(path);
  const [first = ''] = path.split('/');
  const isOfDocker = first === path || !(first === 'localhost' || /[.:]/.test(first));
  const places = isOfDocker
    ? [...(first === path ? ['library/', 'docker.io/library/'] : []), 'docker.io/']
    : [];
  const name = path.replaceAll(/[/:]/g, '-');
  return {
    short,
    same: [...short, ...places.flatMap((place) => tagged(`${place}${path}`))],
    dashed: [
      ...(/[:/]/.test(reference)
        ? [`${name}-${tag}`.toLowerCase(), ...(tag === tagUsual ? [name] : [])]
        : []),
      ...(path === 'debian' && debianTags.includes(tag) ? ['debian-12'] : []),
    ],
  };
}

function unique(names: readonly string[]): readonly string[] {
  return [...new Set(names)];
}
