/** Finds a template for a use case. */
import { AppError } from '../errors.ts';
import type { Repositories } from '../ports/store.ts';
import type { Template } from './template.ts';

/** By id, else by name. Raises `not_found`. */
export async function findTemplate(
  { templates }: Pick<Repositories, 'templates'>,
  tenant: string,
  idOrName: string,
): Promise<Template> {
  const template = await templates.find(tenant, idOrName);
  if (template) return template;
  throw new AppError('not_found', `Template with id '${idOrName}' not found`, {
    details: { template: idOrName },
  });
}
