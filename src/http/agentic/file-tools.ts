/** The tools that read, write and list files inside a running virtual machine; a part of the table in `tools.ts`. */
import { z } from '@hono/zod-openapi';
import { AppError } from '../../core/errors.ts';
import { guestEntryBytesMax, guestListMax } from '../../core/ports/guest-files.ts';
import { VmService } from '../dialects/hypermachine/service.ts';
import { vmId } from '../dialects/hypermachine/translate.ts';
import { closed } from '../schema.ts';
import { makeTool, type Tool, vmIdField } from './tool.ts';

/** HyperMachine's own limit of a file's part. */
const partBytesMax = 1024 * 1024;
const partBytesDefault = 64 * 1024;
/** 1 MiB in base64. */
const contentCharactersMax = 1_398_104;
const listLimitDefault = 200;

const path = z.string().min(1).max(4095).openapi({ description: 'The absolute path in the guest.' });
const encoding = z.enum(['text', 'base64']).default('text').openapi({
  description: 'How the content is written: text (UTF-8), or base64 for other bytes.',
});

export const fileTools: readonly Tool[] = [
  makeTool({
    name: 'read_file',
    description:
      'Read a file inside a running virtual machine, or a part of a large one: next_offset is where to go on, null at its end.',
    scope: 'machines:exec',
    isReadOnly: true,
    input: closed({
      vm_id: vmIdField,
      path,
      offset: z.int().min(0).default(0).openapi({ description: 'The first byte to read.' }),
      max_bytes: z
        .int()
        .min(1)
        .max(partBytesMax)
        .default(partBytesDefault)
        .openapi({ description: 'How many bytes to read at most.' }),
      encoding,
    }),
    async run(deps, input, { caller, reserve, signal }) {
      const { id } = await new VmService(deps).find(caller, input.vm_id);
      reserve(4 * input.max_bytes);
      const of = { tenant: caller.tenant, machine: id };
      const part = await deps.files.readPart(of, input.path, input.offset, input.max_bytes, signal);
      const bytes = part.content;
      const { content, used } =
        input.encoding === 'base64'
          ? { content: bytes.toString('base64'), used: bytes.length }
          : textOf(bytes, part.isEnd);
      const isEnd = part.isEnd && used === bytes.length;
      return {
        ...{ id: vmId({ id }), path: input.path, content, encoding: input.encoding },
        ...{ size: part.entry.bytes, mode: part.entry.mode, next_offset: isEnd ? null : input.offset + used },
      };
    },
  }),
  makeTool({
    name: 'write_file',
    description:
      'Write a file inside a running virtual machine, with the directories above it. A file that exists is replaced.',
    scope: 'machines:exec',
    input: closed({
      vm_id: vmIdField,
      path,
      content: z
        .string()
        .max(contentCharactersMax)
        .openapi({ description: 'The whole content, at most 1 MiB.' }),
      encoding,
      mode: z
        .string()
        .regex(/^[0-7]{3,4}$/, 'must be three or four octal digits, such as 0755')
        .optional()
        .openapi({
          description: 'The permissions in octal digits. Default: as before, or 0644.',
          example: '0755',
        }),
    }),
    postconditions: ['the file has this content'],
    async run(deps, { vm_id, path: to, content, encoding: how, mode }, { caller, reserve, signal }) {
      const bytes = bytesOf(content, how);
      const { id } = await new VmService(deps).find(caller, vm_id);
      reserve(2 * bytes.length);
      const request = { path: to, parents: true, ...(mode === undefined ? {} : { mode }) };
      await deps.files.write({ tenant: caller.tenant, machine: id }, request, only(bytes), signal);
      return { id: vmId({ id }), path: to, size: bytes.length };
    },
  }),
  makeTool({
    name: 'list_files',
    description: 'List a directory inside a running virtual machine, by name.',
    scope: 'machines:exec',
    isReadOnly: true,
    input: closed({
      vm_id: vmIdField,
      path,
      limit: z
        .int()
        .min(1)
        .max(guestListMax)
        .default(listLimitDefault)
        .openapi({ description: 'How many entries to show.' }),
    }),
    async run(deps, { vm_id, path: of, limit }, { caller, reserve, signal }) {
      const { id } = await new VmService(deps).find(caller, vm_id);
      reserve(limit * guestEntryBytesMax);
      const machine = { tenant: caller.tenant, machine: id };
      const { entries, hasMore } = await deps.files.list(machine, { path: of, limit }, signal);
      const shown = entries.map(({ name, type, bytes, mode, modifiedAtMs, target }) => ({
        ...{ name, type, size: bytes, mode, modified_at: new Date(modifiedAtMs).toISOString(), target },
      }));
      return { id: vmId({ id }), path: of, entries: shown, truncated: hasMore };
    },
  }),
];

/** A character whose last bytes are beyond the part is left for the next one. Raises `invalid` for other bytes. */
function textOf(bytes: Buffer, isEnd: boolean): { readonly content: string; readonly used: number } {
  const decoder = new TextDecoder('utf-8', { fatal: true, ignoreBOM: true });
  try {
    const content = decoder.decode(bytes, { stream: !isEnd });
    return { content, used: Buffer.byteLength(content) };
  } catch {
    throw new AppError('invalid', 'the file is not UTF-8 text', {
      hint: 'Read it with the encoding base64.',
    });
  }
}

function bytesOf(content: string, encoding: 'text' | 'base64'): Buffer {
  const bytes = Buffer.from(content, encoding === 'text' ? 'utf8' : 'base64');
  if (encoding === 'base64' && bytes.toString('base64').replace(/=+$/, '') !== content.replace(/=+$/, ''))
    throw new AppError('invalid', 'content is not base64');
  if (bytes.length > partBytesMax)
    throw new AppError('invalid', `content must have at most ${partBytesMax} bytes, not ${bytes.length}`);
  return bytes;
}

async function* only(content: Uint8Array): AsyncGenerator<Uint8Array> {
  yield content;
}
