/**
 * What an image may be called: a plain name such as `debian-12`, or a reference as registries have it,
 * `[registry[:port]/][path/]name[:tag]`. Used by every edge that accepts, stores or looks up a name. A name
 * has no empty, hidden or `..` segment, but it may contain `/`: `storage/layout.ts` encodes it for the file
 * system. Pure.
 * Example: `ghcr.io/org/app:1.2` is a name; `../app`, `/app`, `App` and `app:` are not.
 */

/** A file name has at most 255 bytes; the record's is the name and `.json`. */
export const imageNameCharactersMax = 240;

/** Two dots in a row are refused everywhere, so that no reading of a name leads out of a directory. */
const segment = '[a-z0-9](?:[a-z0-9_-]|\\.(?!\\.))*';
const tag = '[A-Za-z0-9_](?:[A-Za-z0-9_-]|\\.(?!\\.)){0,127}';

/** JavaScript's and JSON Schema's alike; without the length. */
export const imageNamePattern = new RegExp(
  `^(?:${segment}(?::[0-9]{1,5})?/)?(?:${segment}/)*${segment}(?::${tag})?$`,
);

export const imageNameRule = `must have at most ${imageNameCharactersMax} characters and look like debian-12, alpine:3.20 or ghcr.io/org/app:1: lower-case letters, digits, ., _ and -, each part beginning with a letter or digit, without two dots in a row`;

export function isImageName(name: string): boolean {
  return name.length <= imageNameCharactersMax && imageNamePattern.test(name);
}
