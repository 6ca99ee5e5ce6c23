/** Machines as MCP resources: `flotilla://machines/{id}` is one, `flotilla://machines/{id}/console` what it printed. */
import type {
  ListResourcesResult,
  ReadResourceResult,
  ResourceTemplate,
} from '@modelcontextprotocol/sdk/types.js';
import { AppError } from '../../core/errors.ts';
import { type Caller, checkScope } from '../../core/keys/caller.ts';
import type { HttpDeps } from '../context.ts';
import { VmService } from '../dialects/hypermachine/service.ts';

const prefix = 'flotilla://machines/';
const pageSize = 100;
/** The end of the console that is read. */
const consoleLines = 500;

export const resourceTemplates: ResourceTemplate[] = [
  {
    uriTemplate: `${prefix}{id}`,
    name: 'machine',
    description: 'A machine: its state, size, image and, if it failed, why',
    mimeType: 'application/json',
  },
  {
    uriTemplate: `${prefix}{id}/console`,
    name: 'console',
    description: `The last ${consoleLines} lines of a machine's serial console`,
    mimeType: 'text/plain',
  },
];

/** Two resources for each machine. The cursor is the number of machines before the page. */
export async function listResources(
  { machines }: HttpDeps,
  caller: Caller,
  cursor: string | undefined,
): Promise<ListResourcesResult> {
  checkScope(caller, 'machines:read');
  const offset = cursor === undefined ? 0 : Number(/^\d{1,9}$/.exec(cursor)?.[0] ?? Number.NaN);
  if (Number.isNaN(offset)) throw new AppError('invalid', 'The cursor is not one of this server');
  const page = await machines.list({ tenant: caller.tenant, limit: pageSize, offset, labels: [] });
  const end = offset + page.machines.length;
  return {
    resources: page.machines.flatMap(({ id, state, spec: { name, image } }) => [
      {
        ...{ uri: `${prefix}${id}`, name, mimeType: 'application/json' },
        description: `Machine ${name} (${image}, ${state})`,
      },
      {
        ...{ uri: `${prefix}${id}/console`, name: `${name} console`, mimeType: 'text/plain' },
        description: `Console of machine ${name}`,
      },
    ]),
    ...(end < page.total && page.machines.length > 0 ? { nextCursor: String(end) } : {}),
  };
}

export async function readResource(
  deps: HttpDeps,
  caller: Caller,
  uri: string,
  signal: AbortSignal,
): Promise<ReadResourceResult> {
  checkScope(caller, 'machines:read');
  const match = /^flotilla:\/\/machines\/([^/?#]+)(\/console)?$/.exec(uri);
  if (match?.[1] === undefined) throw new AppError('not_found', `There is no resource ${uri.slice(0, 200)}`);
  const id = decoded(match[1]);
  const vms = new VmService(deps);
  if (match[2] === undefined) {
    const text = JSON.stringify(await vms.get(caller, id));
    return { contents: [{ uri, mimeType: 'application/json', text }] };
  }
  const pieces: Uint8Array[] = [];
  const request = { lines: consoleLines, follow: false };
  const machine = await vms.find(caller, id);
  for await (const piece of await deps.machines.console(caller.tenant, machine.id, request, signal)) {
    pieces.push(piece);
  }
  return { contents: [{ uri, mimeType: 'text/plain', text: Buffer.concat(pieces).toString('utf8') }] };
}

function decoded(text: string): string {
  try {
    return decodeURIComponent(text);
  } catch {
    throw new AppError('invalid', 'The resource’s address is not UTF-8 in percent-encoding');
  }
}
