/** The handlers of `/api/v1/templates`: a few lines each between HTTP and core. */
import type { OpenAPIHono } from '@hono/zod-openapi';
import { type Caller, hasScope } from '../../../core/keys/caller.ts';
import type { Template } from '../../../core/templates/template.ts';
import type { HttpDeps, HttpEnv } from '../../context.ts';
import { nounApp } from '../../documented.ts';
import { routes } from './definitions.ts';
import type { TemplateBody } from './schema.ts';

export function templatesApp({ templates }: HttpDeps): OpenAPIHono<HttpEnv> {
  const app = nounApp();
  app.openapi(routes.create, async (c) => {
    const body = c.req.valid('json');
    const template = await templates.create(c.get('caller').tenant, {
      name: body.name,
      description: body.description,
      image: body.image,
      userData: body.user_data,
      vcpuCount: body.vcpu_count,
      memoryMib: body.mem_size_mib,
      diskMib: body.disk_size_mib,
    });
    return c.json(toTemplateBody(c.get('caller'), template), 201);
  });
  app.openapi(routes.list, async (c) => {
    const caller = c.get('caller');
    const page = await templates.list(caller.tenant, c.req.valid('query'));
    const shown = page.templates.map((template) => toTemplateBody(caller, template));
    return c.json({ templates: shown, total: page.total }, 200);
  });
  app.openapi(routes.get, async (c) => {
    const template = await templates.get(c.get('caller').tenant, c.req.valid('param').id);
    return c.json(toTemplateBody(c.get('caller'), template), 200);
  });
  app.openapi(routes.remove, async (c) => {
    await templates.delete(c.get('caller').tenant, c.req.valid('param').id);
    return c.body(null, 204);
  });
  return app;
}

function toTemplateBody(caller: Caller, template: Template): TemplateBody {
  return {
    id: template.id,
    name: template.name,
    description: template.description,
    image: template.image,
    user_data: hasScope(caller, 'machines:exec') ? template.userData : null,
    vcpu_count: template.vcpuCount,
    mem_size_mib: template.memoryMib,
    disk_size_mib: template.diskMib,
    created_at: template.createdAt,
    updated_at: template.updatedAt,
  };
}
