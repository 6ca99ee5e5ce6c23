/** Templates in the database. */
import type { Kysely } from 'kysely';
import { AppError } from '../core/errors.ts';
import type { Event, EventType } from '../core/events/event.ts';
import type { TemplateFilter, TemplatePage, TemplateRepository } from '../core/ports/store.ts';
import type { Template } from '../core/templates/template.ts';
import type { Access } from './access.ts';
import { type Damage, decodeOne } from './damage.ts';
import { DuplicateError } from './database.ts';
import { recordEvent } from './events.ts';
import { canHold, checkPage, type Database, type TemplateTable } from './schema.ts';
import { decodeTemplate, encodeTemplate } from './template-row.ts';

export function templateRepository(access: Access, damage: Damage): TemplateRepository {
  return {
    insert: (template) => insert(access, template),
    find: async (tenant, idOrName) => {
      const row = await find(access, tenant, idOrName);
      return row === undefined ? null : decodeOne('template', row, decodeTemplate);
    },
    list: (filter) => list(access, damage, filter),
    count: (tenant) => count(access, tenant),
    remove: (id, at) => remove(access, id, at),
  };
}

async function insert(access: Access, template: Template): Promise<void> {
  const row = encodeTemplate(template);
  try {
    await access.atomically(async (db) => {
      await db.insertInto('templates').values(row).execute();
      await recordEvent(db, eventOf(row, 'template.created', template.createdAt));
    });
  } catch (error) {
    if (!(error instanceof DuplicateError) || !error.isOn('tenant', 'name')) throw error;
    throw new AppError('conflict', `Template with name '${template.name}' already exists`, { cause: error });
  }
}

function eventOf({ id, tenant, name }: TemplateTable, type: EventType, at: string): Event {
  return { type, tenant, subject: { kind: 'template', id }, data: { name }, at };
}

function ofTenant(db: Kysely<Database>, tenant: string) {
  return db.selectFrom('templates').where('tenant', '=', tenant);
}

/** A name never looks like an id, so the order of the two does not matter. */
async function find(access: Access, tenant: string, idOrName: string): Promise<TemplateTable | undefined> {
  if (!canHold(idOrName)) return undefined;
  return access.read((db, locks) =>
    locks
      .rows(
        ofTenant(db, tenant)
          .selectAll()
          .where((eb) => eb.or([eb('id', '=', idOrName), eb('name', '=', idOrName)])),
      )
      .executeTakeFirst(),
  );
}

async function list(access: Access, damage: Damage, filter: TemplateFilter): Promise<TemplatePage> {
  const { tenant, limit, offset } = filter;
  checkPage(filter);
  const { rows, total } = await access.snapshot(async (db) => ({
    rows: await ofTenant(db, tenant)
      .selectAll()
      .orderBy('created_at', 'desc')
      .orderBy('id', 'desc')
      .limit(limit)
      .offset(offset)
      .execute(),
    total: await countIn(db, tenant),
  }));
  return { templates: damage.readable('template', rows, decodeTemplate), total };
}

function count(access: Access, tenant: string): Promise<number> {
  return access.read(async (db, locks) => {
    await locks.name(`templates of ${tenant}`);
    return countIn(db, tenant);
  });
}

async function countIn(db: Kysely<Database>, tenant: string): Promise<number> {
  const { total } = await ofTenant(db, tenant)
    .select(({ fn }) => fn.countAll<number | string>().as('total'))
    .executeTakeFirstOrThrow();
  return Number(total);
}

async function remove(access: Access, id: string, at: string): Promise<void> {
  await access.atomically(async (db) => {
    const row = await db.deleteFrom('templates').where('id', '=', id).returningAll().executeTakeFirst();
    if (row !== undefined) await recordEvent(db, eventOf(row, 'template.deleted', at));
  });
}
