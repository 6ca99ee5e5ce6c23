/**
 * Finds the image that a caller's reference means, or says which images there are. The only place that follows
 * references and aliases; whoever deletes an image must name it exactly.
 */
import { AppError } from '../errors.ts';
import type { Image, Images } from '../ports/images.ts';
import type { ImageAlias } from './aliases.ts';
import { isImageName } from './names.ts';
import { aliasOf, builtInImages, namesOf, type ReferenceSettings, spelledNames } from './references.ts';

/** Names listed in a hint. */
const listedMax = 20;
/** Characters of a reference shown in a message. */
const shownMax = 127;

export class ImageResolver {
  readonly #images: Pick<Images, 'named' | 'list'>;
  readonly #settings: ReferenceSettings;

  constructor(images: Pick<Images, 'named' | 'list'>, settings: ReferenceSettings) {
    this.#images = images;
    this.#settings = settings;
  }

  /** The image for a new machine. Raises `not_found` with a hint that lists the available images. */
  async resolve(tenant: string, reference: string, signal: AbortSignal): Promise<Image> {
    const image = await this.#first(tenant, namesOf(reference, this.#settings), signal);
    if (image) return image;
    throw await this.#notFound(tenant, reference, aliasOf(reference, this.#settings.aliases));
  }

  /** The image itself, in any spelling of its name but without aliases. Raises `not_found`. */
  async spelled(tenant: string, reference: string, signal: AbortSignal): Promise<Image> {
    const image = await this.#first(tenant, spelledNames(reference), signal);
    if (image) return image;
    throw await this.#notFound(tenant, reference);
  }

  /** For callers that destroy the image. Raises `not_found` unless this is exactly its name. */
  async exact(tenant: string, name: string, signal: AbortSignal): Promise<Image> {
    const image = await this.#first(tenant, [name], signal);
    if (image) return image;
    throw await this.#notFound(tenant, name);
  }

  async #first(tenant: string, names: readonly string[], signal: AbortSignal): Promise<Image | null> {
    for (const name of names.filter(isImageName)) {
      const image = await this.#images.named(tenant, name, signal);
      if (image) return image;
    }
    return null;
  }

  async #notFound(tenant: string, reference: string, alias?: ImageAlias): Promise<AppError> {
    const there = (await this.#images.list(tenant)).map(({ name }) => name);
    const listed = there.slice(0, listedMax).join(', ');
    const more = there.length > listedMax ? ` and ${there.length - listedMax} more` : '';
    const isBuiltIn = builtInImages.every((each) => there.includes(each));
    const hints = [
      ...(there.length > 0 ? [`There is: ${listed}${more}.`] : []),
      ...(alias ? [`An alias maps it to ${alias.image}, which is not there.`] : []),
      importHint(reference),
      ...(isBuiltIn
        ? []
        : [`Run ./flotilla setup to make the built-in images ${builtInImages.join(' and ')}.`]),
    ];
    return new AppError('not_found', `no image ${JSON.stringify(reference.slice(0, shownMax))}`, {
      hint: hints.join(' '),
      details: { image: reference.slice(0, shownMax) },
    });
  }
}

function importHint(reference: string): string {
  const name = isImageName(reference) ? reference : 'NAME';
  return `Images are not pulled from registries: import one with flotilla images import ${name} PATH, or let the operator map the name with FLOTILLA_IMAGE_ALIASES.`;
}
