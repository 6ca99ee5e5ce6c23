/**
 * Puts the SFTP server, a program of ours, into guests before it is needed there the first time. So SFTP works in every image,
 * and what a user may do with files is decided by the guest's own kernel.
 */
import { createReadStream } from 'node:fs';
import { basename } from 'node:path';
import type { CommandsOf } from '../core/commands/command.ts';
import { AppError, isAppError } from '../core/errors.ts';
import type { FileService } from '../core/files/service.ts';

/** In memory: gone with the boot. */
const directory = '/run/flotilla';
/** Of 3 MiB, into a guest that may be slow. */
const transferMs = 120_000;

export interface SftpServerDeps {
  readonly files: Pick<FileService, 'stat' | 'write'>;
  /** Its path on this host, with the version in its name; null: set-up has not made it. */
  readonly program: string | null;
}

export class SftpServer {
  readonly #deps: SftpServerDeps;
  /** By machine: transfers under way. */
  readonly #transfers = new Map<string, Promise<unknown>>();

  constructor(deps: SftpServerDeps) {
    this.#deps = deps;
  }

  /** Returns its path in the guest. Raises `unsupported` when this host has none. */
  async placed(of: CommandsOf, signal: AbortSignal): Promise<string> {
    const { files, program } = this.#deps;
    if (program === null) {
      throw new AppError('unsupported', 'this host has no SFTP server to put into guests', {
        hint: 'Run ./flotilla setup on the host, and restart the daemon.',
      });
    }
    const path = `${directory}/${basename(program)}`;
    try {
      await files.stat(of, path, false, signal);
    } catch (error) {
      if (!isAppError(error, 'not_found')) throw error;
      await this.#transfer(of, program, path);
    }
    return path;
  }

  /** Shared by sessions that begin at once, so no session's end ends it. */
  #transfer(of: CommandsOf, program: string, path: string): Promise<unknown> {
    const known = this.#transfers.get(of.machine);
    if (known !== undefined) return known;
    const request = { path, mode: '0755', parents: true };
    const transfer = this.#deps.files
      .write(of, request, createReadStream(program), AbortSignal.timeout(transferMs))
      .finally(() => this.#transfers.delete(of.machine));
    this.#transfers.set(of.machine, transfer);
    return transfer;
  }
}

export function sftpArgv(path: string): readonly string[] {
  return [path];
}
