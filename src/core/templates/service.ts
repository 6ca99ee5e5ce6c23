/** The use cases of templates. Called by every dialect that has the noun; each caller sees its own tenant's only. */
import { shortId } from '../../lib/ids.ts';
import { AppError } from '../errors.ts';
import type { ImageResolver } from '../images/resolver.ts';
import { checkName } from '../machines/names.ts';
import { diskMibMax, requireDisk, requireMemory } from '../machines/spec.ts';
import { lookTimeoutMs } from '../machines/steps/context.ts';
import type { Clock } from '../ports/clock.ts';
import type { Store, TemplatePage } from '../ports/store.ts';
import { parseUserData } from '../user-data/parse.ts';
import { findTemplate } from './find.ts';
import type { Template } from './template.ts';

/** Limit per tenant; a template holds up to 64 KiB of user data. */
export const templatesMax = 1_000;
export const descriptionCharactersMax = 1_024;
/** Far more than any host has; the engine's own limits apply when a machine is created. */
export const vcpuCountMax = 1_024;
export const memoryMibMax = 64 * 1024 * 1024;

export interface NewTemplate {
  readonly name: string;
  readonly description?: string | undefined;
  readonly image: string;
  readonly userData?: string | undefined;
  readonly vcpuCount: number;
  readonly memoryMib: number;
  readonly diskMib?: number | undefined;
}

export interface TemplateServiceDeps {
  readonly store: Store;
  readonly resolver: Pick<ImageResolver, 'resolve'>;
  readonly clock: Clock;
}

export class TemplateService {
  readonly #deps: TemplateServiceDeps;

  constructor(deps: TemplateServiceDeps) {
    this.#deps = deps;
  }

  /** Raises `invalid`, `not_found` (image), `conflict` (name taken, or too many templates). */
  async create(tenant: string, request: NewTemplate): Promise<Template> {
    const { store, resolver, clock } = this.#deps;
    checkRequest(request);
    if (request.userData !== undefined) parseUserData(request.userData);
    const image = await resolver.resolve(tenant, request.image, AbortSignal.timeout(lookTimeoutMs));
    // No machine could be made from it.
    const { memoryMib, diskMib = image.rootMib } = request;
    requireMemory({ memoryMib, diskMib }, image, { memoryMibMin: image.memoryMibMin });
    if (request.diskMib !== undefined) requireDisk(request.diskMib, image);
    const at = clock.now().toISOString();
    const template: Template = {
      id: shortId(),
      tenant,
      name: request.name,
      description: request.description ?? '',
      image: request.image,
      userData: request.userData ?? null,
      vcpuCount: request.vcpuCount,
      memoryMib: request.memoryMib,
      diskMib: request.diskMib ?? null,
      createdAt: at,
      updatedAt: at,
    };
    await store.transaction(async (tx) => {
      if ((await tx.templates.count(tenant)) >= templatesMax) {
        throw new AppError('conflict', `there are ${templatesMax} templates already`, {
          hint: 'Delete templates that are no longer used.',
        });
      }
      await tx.templates.insert(template);
    });
    return template;
  }

  /** Newest first. */
  list(tenant: string, page: { readonly limit: number; readonly offset: number }): Promise<TemplatePage> {
    return this.#deps.store.templates.list({ tenant, ...page });
  }

  /** By id, else by name. Raises `not_found`. */
  get(tenant: string, idOrName: string): Promise<Template> {
    return findTemplate(this.#deps.store, tenant, idOrName);
  }

  /** Machines made from it stay as they are. Raises `not_found`. */
  async delete(tenant: string, idOrName: string): Promise<void> {
    const { store, clock } = this.#deps;
    await store.transaction(async (tx) => {
      const { id } = await findTemplate(tx, tenant, idOrName);
      await tx.templates.remove(id, clock.now().toISOString());
    });
  }
}

function checkRequest({ name, description = '', vcpuCount, memoryMib, diskMib = 1 }: NewTemplate): void {
  checkName(name);
  if (description.length > descriptionCharactersMax) {
    throw new AppError('invalid', `description must have at most ${descriptionCharactersMax} characters`);
  }
  checkCount('the number of vCPUs', vcpuCount, vcpuCountMax);
  checkCount('the memory in MiB', memoryMib, memoryMibMax);
  checkCount('the size of the disk in MiB', diskMib, diskMibMax);
}

function checkCount(what: string, value: number, most: number): void {
  if (Number.isSafeInteger(value) && value >= 1 && value <= most) return;
  throw new AppError('invalid', `${what} must be a whole number from 1 to ${most}`);
}
