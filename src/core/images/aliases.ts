/**
 * The operator's table of image aliases, `FLOTILLA_IMAGE_ALIASES`: which image a reference means that no image
 * has as its name. Read once at the start. Pure.
 * Example: `alpine:*=busybox,ghcr.io/org/app:1=app`.
 */
import { AppError } from '../errors.ts';
import { imageNameRule, isImageName } from './names.ts';

export interface ImageAlias {
  /** A reference; a `*` at its end matches any rest. */
  readonly pattern: string;
  readonly image: string;
}

const aliasesMax = 1000;
const form =
  'Write REFERENCE=IMAGE, several with commas, such as alpine:latest=debian-12,ubuntu-*=debian-12.';
const patternForm = /^[A-Za-z0-9][A-Za-z0-9._:/-]{0,254}\*?$/;

/** Raises `invalid`, naming the entry. */
export function parseAliases(text: string): readonly ImageAlias[] {
  const entries = text.split(',').map((entry) => entry.trim());
  const aliases = entries.filter((entry) => entry !== '').map(parseEntry);
  if (aliases.length > aliasesMax) {
    throw new AppError('invalid', `there are ${aliases.length} aliases, more than ${aliasesMax}`);
  }
  const seen = new Set<string>();
  for (const { pattern, image } of aliases) {
    if (seen.has(pattern)) throw refused(`${pattern}=${image}`, `${pattern} is there twice`);
    seen.add(pattern);
  }
  return aliases;
}

/** Whether a name is what the pattern says. */
export function matchesAlias(pattern: string, name: string): boolean {
  return pattern.endsWith('*') ? name.startsWith(pattern.slice(0, -1)) : name === pattern;
}

function parseEntry(entry: string): ImageAlias {
  const [pattern = '', image, ...rest] = entry.split('=').map((part) => part.trim());
  if (image === undefined || rest.length > 0) throw refused(entry, 'it has not exactly one =');
  if (!patternForm.test(pattern)) {
    throw refused(entry, `'${pattern}' is not a reference, which may end with *`);
  }
  if (!isImageName(image)) throw refused(entry, `an image’s name ${imageNameRule}`);
  return { pattern, image };
}

function refused(entry: string, reason: string): AppError {
  return new AppError('invalid', `not an alias: '${entry.slice(0, 300)}': ${reason}`, { hint: form });
}
