/**
 * Stores the console of a machine's previous boot as a file beside its disk: `disks/<machine>/console.previous`,
 * accessible only to the daemon. Its first line is JSON with the times of the bytes that follow.
 */
import { readFile } from 'node:fs/promises';
import { AppError } from '../../core/errors.ts';
import type { ConsolePiece, Seen } from '../../core/ports/engine.ts';
import type { KeptConsoles } from '../../core/ports/kept-consoles.ts';
import { exists, hasErrorCode, writeFileAtomic } from '../../lib/files.ts';
import type { StateLayout } from '../layout.ts';

const version = 1;
const newline = 0x0a;

export class KeptConsoleFiles implements KeptConsoles {
  readonly #layout: StateLayout;

  constructor(layout: StateLayout) {
    this.#layout = layout;
  }

  async keep(machineId: string, { bytes, seen }: ConsolePiece): Promise<boolean> {
    // A directory without a disk is being made or removed.
    if (!(await exists(this.#layout.disk(machineId)))) return false;
    const header = { version, seen: seen.map(({ end, sinceMs, atMs }) => [end, sinceMs, atMs]) };
    const data = Buffer.concat([Buffer.from(`${JSON.stringify(header)}\n`), bytes]);
    try {
      await writeFileAtomic(this.#layout.previousConsole(machineId), data, 0o600);
      return true;
    } catch (error) {
      if (hasErrorCode(error, 'ENOENT')) return false;
      throw error;
    }
  }

  async read(machineId: string): Promise<ConsolePiece | null> {
    const data = await readFile(this.#layout.previousConsole(machineId)).catch((error: unknown) => {
      if (hasErrorCode(error, 'ENOENT')) return null;
      throw error;
    });
    if (data === null) return null;
    const headerEnd = data.indexOf(newline);
    const bytes = data.subarray(headerEnd + 1);
    const seen = parseSeen(data.toString('utf8', 0, Math.max(0, headerEnd)));
    if (seen !== null && (seen.at(-1)?.end ?? 0) === bytes.length) return { bytes, seen };
    throw new AppError('internal', `the previous console of machine ${machineId} is damaged`, {
      hint: 'Start the machine again: the file is then replaced.',
    });
  }
}

function parseSeen(header: string): readonly Seen[] | null {
  try {
    const { version: found, seen } = JSON.parse(header) as { version: unknown; seen: unknown };
    if (found !== version || !Array.isArray(seen)) return null;
    return seen.map(([end, sinceMs, atMs]: [number, number | null, number]) => ({ end, sinceMs, atMs }));
  } catch {
    return null;
  }
}
