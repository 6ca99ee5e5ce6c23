/** Converts a template to a row and back, validating in both directions. */
import { z } from 'zod';
import type { Template } from '../core/templates/template.ts';
import { decodeJson, encodeJson, encodeTime, type TemplateTable } from './schema.ts';
import { validate } from './validate.ts';

const count = z.int().min(1);
const template: z.ZodType<Template> = z.strictObject({
  id: z.string().min(1),
  tenant: z.string().min(1),
  name: z.string().min(1),
  description: z.string(),
  image: z.string().min(1),
  userData: z.string().nullable(),
  vcpuCount: count,
  memoryMib: count,
  diskMib: count.nullable(),
  createdAt: z.string(),
  updatedAt: z.string(),
});

/** Raises InvariantError when the template is malformed. Texts of callers are JSON, because PostgreSQL's text holds no NUL. */
export function encodeTemplate(value: Template): TemplateTable {
  const checked = check(value);
  return {
    id: checked.id,
    tenant: checked.tenant,
    name: checked.name,
    description: encodeJson(checked.description),
    image: checked.image,
    user_data: checked.userData === null ? null : encodeJson(checked.userData),
    vcpu_count: checked.vcpuCount,
    memory_mib: checked.memoryMib,
    disk_mib: checked.diskMib,
    created_at: encodeTime(checked.createdAt),
    updated_at: encodeTime(checked.updatedAt),
  };
}

/** Raises InvariantError when this program could not have written the row. */
export function decodeTemplate(row: TemplateTable): Template {
  return check({
    id: row.id,
    tenant: row.tenant,
    name: row.name,
    description: decodeJson(row.description, 'templates.description'),
    image: row.image,
    userData: row.user_data === null ? null : decodeJson(row.user_data, 'templates.user_data'),
    vcpuCount: row.vcpu_count,
    memoryMib: row.memory_mib,
    diskMib: row.disk_mib,
    createdAt: row.created_at,
    updatedAt: row.updated_at,
  });
}

/** `value` may contain anything under the fields' names. */
function check(value: Readonly<Record<keyof Template, unknown>>): Template {
  return validate(template, value, `template ${String(value.id)}`);
}
