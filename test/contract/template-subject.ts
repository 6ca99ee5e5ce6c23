/** Provides the template for requests to `/api/v1/templates`. */
import type { FakeFlotilla } from '../support/fake.ts';

export const templatesPath = '/api/v1/templates';
export const subjectTemplateName = 'fuzzed';

/** Removes all templates, and makes one unless it should be absent. */
export async function arrangeTemplate({ templates }: FakeFlotilla, isAbsent: boolean): Promise<void> {
  const page = await templates.list('default', { limit: 1000, offset: 0 });
  for (const { id } of page.templates) await templates.delete('default', id);
  if (isAbsent) return;
  await templates.create('default', {
    name: subjectTemplateName,
    image: 'busybox',
    vcpuCount: 1,
    memoryMib: 128,
  });
}
