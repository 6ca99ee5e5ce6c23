/** What `/api/v1/templates` accepts and sends. */
import { z } from '@hono/zod-openapi';
import { nameCharactersMax, namePattern, nameRule } from '../../../core/machines/names.ts';
import { diskMibMax } from '../../../core/machines/spec.ts';
import { descriptionCharactersMax, memoryMibMax, vcpuCountMax } from '../../../core/templates/service.ts';
import { closed, closedQuery, moment, noNul, noNulPattern, pageQuery } from '../../schema.ts';

/** Core limits the bytes; no text of that many bytes has more characters. */
const userDataCharactersMax = 65_536;

export const createTemplateBody = closed({
  name: z.string().min(1).max(nameCharactersMax).regex(namePattern, nameRule).openapi({
    description: 'Unique among your templates; the same characters as in a machine’s name.',
    example: 'web',
  }),
  description: z
    .string()
    .max(descriptionCharactersMax)
    .optional()
    .openapi({ description: 'For people.', example: 'a web server' }),
  image: z.string().min(1).max(255).refine(noNul, 'must not contain NUL').openapi({
    description: 'An image’s name, as for a machine.',
    pattern: noNulPattern,
    example: 'busybox',
  }),
  user_data: z
    .string()
    .max(userDataCharactersMax)
    .optional()
    .openapi({ description: 'What each machine carries out after its first start.' }),
  vcpu_count: z.int().min(1).max(vcpuCountMax).openapi({ example: 1 }),
  mem_size_mib: z.int().min(4).max(memoryMibMax).openapi({ description: 'Memory in MiB.', example: 256 }),
  disk_size_mib: z
    .int()
    .min(1)
    .max(diskMibMax)
    .optional()
    .openapi({ description: 'Size of the root disk in MiB. Default: the machine’s own.', example: 1024 }),
}).openapi('CreateTemplate');
export type CreateTemplateBody = z.infer<typeof createTemplateBody>;

export const templateBody = z
  .object({
    id: z.string().openapi({ example: 't7k2m9x4c1qa' }),
    name: z.string().openapi({ example: 'web' }),
    description: z.string().openapi({ example: 'a web server' }),
    image: z.string().openapi({ example: 'busybox' }),
    user_data: z.string().nullable().openapi({
      description: 'As given; null without any, and for keys that may not run commands.',
      example: null,
    }),
    vcpu_count: z.int().openapi({ example: 1 }),
    mem_size_mib: z.int().openapi({ description: 'Memory in MiB.', example: 256 }),
    disk_size_mib: z
      .int()
      .nullable()
      .openapi({ description: 'Null: the machine’s own default.', example: 1024 }),
    created_at: moment,
    updated_at: moment,
  })
  .openapi('Template');
export type TemplateBody = z.infer<typeof templateBody>;

export const templateList = z
  .object({
    templates: z.array(templateBody),
    total: z.int().openapi({ description: 'Your templates, on all pages.', example: 1 }),
  })
  .openapi('TemplateList');

export const listTemplatesQuery = closedQuery(pageQuery('Templates'));

export const templateParams = z.object({
  id: z
    .string()
    .min(1)
    .max(128)
    .openapi({ param: { description: 'Id or name.' }, example: 't7k2m9x4c1qa' }),
});
