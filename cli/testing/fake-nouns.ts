/** The fake daemon's keys, images, templates, snapshots and operations. */
import type { IncomingMessage } from 'node:http';
import { Refusal } from './refusal.ts';

type Fields = Record<string, unknown>;

export interface NounAnswer {
  readonly status: number;
  readonly body?: Fields;
}

export class FakeNouns {
  readonly keys: Fields[] = [];
  readonly images: Fields[] = [];
  readonly templates: Fields[] = [];
  readonly snapshots: Fields[] = [];
  readonly operations: Fields[] = [];
  readonly environments: Fields[] = [];
  readonly quotas: Fields[] = [];
  /** The bytes of the last upload that came whole. */
  uploaded: Buffer | null = null;
  /** What uploads are answered with as soon as they have begun. */
  uploadRefusal: Refusal | null = null;
  readonly note: (entry: string) => void;

  constructor(note: (entry: string) => void) {
    this.note = note;
  }

  addImage(name: string, fields: Fields = {}): Fields {
    const sizes = { size_mib: 64, min_memory_mib: 96, kernel: 'host', kernel_release: null };
    const rest = { digest: 'sha256:0', built_in: false, shared: false, created_at: new Date().toISOString() };
    const image = { name, ...sizes, ...rest, ...fields };
    this.images.push(image);
    return image;
  }

  addSnapshot(machine: Fields, { name, memory = true, labels = {} }: Fields = {}): Fields {
    const id = `snap${String(this.snapshots.length).padStart(8, '0')}`;
    const at = new Date().toISOString();
    const sizes = { vcpu_count: 1, mem_size_mib: 512, disk_size_mib: 1024, size_bytes: 73_400_320 };
    const snapshot = {
      ...{ id, name: name ?? `snapshot-${id}`, status: 'ready', labels, has_memory: memory },
      ...{ machine_id: machine.id, machine_name: machine.name, parent_id: null, image: 'busybox' },
      ...{ ...sizes, created_at: at, updated_at: at },
    };
    this.snapshots.unshift(snapshot);
    return snapshot;
  }
}

/** The answer to `METHOD /api/v1/…`. Throws Refusal. */
export async function answerNoun(
  nouns: FakeNouns,
  line: string,
  query: URLSearchParams,
  body: Fields,
  request: IncomingMessage,
): Promise<NounAnswer> {
  const [, method, noun = '', name = ''] = /^(\w+) \/api\/v1\/(\w+)(?:\/(.+))?$/.exec(line) ?? [];
  const { keys, images, templates, snapshots, operations, environments, quotas } = nouns;
  const all = { keys, images, templates, snapshots, operations, environments, quotas }[noun] ?? [];
  if (method === 'GET' && name === '') return { status: 200, body: page(noun, all, query) };
  if (method === 'PUT') return { status: 201, body: await upload(nouns, name, query, request) };
  if (method === 'POST' && noun === 'snapshots') return { status: 200, body: restore(nouns, name, body) };
  if (method === 'POST' && noun === 'templates') return { status: 201, body: createTemplate(nouns, body) };
  if (method === 'POST') return { status: 201, body: createKey(nouns, body) };
  const found = all.find((each) => each.id === name || each.name === name);
  if (found === undefined) throw new Refusal(404, 'NOT_FOUND', `no such ${noun.slice(0, -1)}`);
  if (method === 'GET') return { status: 200, body: found };
  if (noun === 'keys') found.revoked_at = new Date().toISOString();
  else all.splice(all.indexOf(found), 1);
  return { status: 204 };
}

function page(noun: string, all: readonly Fields[], query: URLSearchParams): Fields {
  const state = query.get('state');
  const machine = query.get('machine');
  const some = all.filter(
    (each) =>
      (state === null || each.state === state) &&
      (machine === null || each.machine_id === machine || each.machine_name === machine),
  );
  const offset = Number(query.get('offset') ?? 0);
  return { [noun]: some.slice(offset, offset + Number(query.get('limit') ?? 50)), total: some.length };
}

/** Of `name/restore`. */
function restore(nouns: FakeNouns, path: string, body: Fields): Fields {
  const name = path.replace(/\/restore$/, '');
  const found = nouns.snapshots.find((each) => each.id === name || each.name === name);
  if (found === undefined) throw new Refusal(404, 'NOT_FOUND', 'no such snapshot');
  nouns.note(`restored ${found.name} ${JSON.stringify(body)}`);
  return { id: found.machine_id, name: found.machine_name };
}

function createKey(nouns: FakeNouns, body: Fields): Fields {
  const times = { created_at: new Date().toISOString(), last_used_at: null, revoked_at: null };
  const id = `key${nouns.keys.length}`;
  const key = { id, tenant: 'default', prefix: 'hf_12345678', expires_at: null, ...body, ...times };
  nouns.keys.unshift(key);
  return { ...key, key: `hf_12345678${'x'.repeat(24)}` };
}

function createTemplate(nouns: FakeNouns, body: Fields): Fields {
  const at = new Date().toISOString();
  const optional = { description: '', user_data: null, disk_size_mib: null };
  const template = {
    id: `template${nouns.templates.length}`,
    ...optional,
    ...body,
    created_at: at,
    updated_at: at,
  };
  nouns.templates.unshift(template);
  return template;
}

async function upload(
  nouns: FakeNouns,
  name: string,
  query: URLSearchParams,
  request: IncomingMessage,
): Promise<Fields> {
  const chunks: Buffer[] = [];
  try {
    for await (const chunk of request) {
      if (chunks.length === 0) nouns.note('upload begun');
      if (nouns.uploadRefusal !== null) throw nouns.uploadRefusal;
      chunks.push(chunk as Buffer);
    }
  } catch (error) {
    nouns.note('upload broken off');
    throw error;
  }
  nouns.uploaded = Buffer.concat(chunks);
  const fields = { kernel: query.get('kernel') ?? 'host' };
  return nouns.addImage(name, { ...fields, min_memory_mib: Number(query.get('min_memory_mib') ?? 96) });
}
