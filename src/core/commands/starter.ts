/** Starts commands that the guest agent owns, and gives them their first input. Used by `CommandService`. */
import { shortId } from '../../lib/ids.ts';
import { AppError, isAppError, wrapError } from '../errors.ts';
import type { Machine } from '../machines/machine.ts';
import type { Edges } from '../machines/steps/context.ts';
import type { GuestTarget } from '../ports/guest.ts';
import type { StartCommand, StartedCommand } from './command.ts';

/** Limit of the calls that clean up after a caller who has gone. */
const cleanUpMs = 30_000;
const terminalName = 'xterm-256color';

export class CommandStarter {
  readonly #edges: Edges;

  constructor(edges: Edges) {
    this.#edges = edges;
  }

  /**
   * When the answer is lost, looks whether the command runs, because it must not run twice; when nobody can tell, the error
   * says so and names the id. A command whose caller has gone is ended.
   */
  async start(
    { id: machineId, spec }: Machine,
    target: GuestTarget,
    { stdin, isStdinOpen = false, ...request }: StartCommand,
    bufferBytes: number | undefined,
    signal: AbortSignal,
  ): Promise<StartedCommand> {
    const id = shortId();
    const env = {
      ...(request.terminal === undefined ? {} : { TERM: terminalName }),
      ...spec.env,
      ...request.env,
    };
    const hasStdin = isStdinOpen || stdin !== undefined;
    const read = bufferBytes === undefined ? {} : { bufferBytes, isHeld: true };
    const command = { ...request, id, env, hasStdin, ...read };
    try {
      return { id, machineId, ...(await this.#edges.guest.commands.start(target, command, signal)) };
    } catch (error) {
      if (signal.aborted) await this.forget(target, id);
      if (signal.aborted || !isAppError(error) || !error.isMaybeDone) throw error;
      // The answer was lost. The command must not run twice, so look whether it runs.
      const listed = await this.#edges.guest.commands.list(target, signal).catch(() => []);
      const found = listed.find((each) => each.id === id);
      if (found !== undefined) return { id, machineId, pid: found.pid };
      const options = { cause: error, isMaybeDone: true, details: { exec_id: id } };
      throw new AppError(error.code, error.message, { ...options, hint: `It may have started, as ${id}.` });
    }
  }

  /** Passes on the request’s input; if that fails, the command is ended. What a command that ends early does not read is dropped. */
  async feedFirst(
    target: GuestTarget,
    id: string,
    { stdin = new Uint8Array(), isStdinOpen = false }: StartCommand,
    signal: AbortSignal,
  ): Promise<void> {
    try {
      await this.#edges.guest.commands.feed(target, id, stdin, !isStdinOpen, signal);
      if (signal.aborted) throw signal.reason;
    } catch (error) {
      if (isAppError(error, 'conflict') || isAppError(error, 'not_found')) return;
      await this.forget(target, id);
      throw wrapError(error, 'pass on standard input', 'guest');
    }
  }

  /** Ends a command that nobody will know of. */
  async forget(target: GuestTarget, id: string): Promise<void> {
    try {
      await this.#edges.guest.commands.forget(target, id, AbortSignal.timeout(cleanUpMs));
    } catch (error) {
      if (!isAppError(error, 'not_found'))
        this.#edges.log.warn({ command: id, reason: String(error) }, 'command not ended');
    }
  }
}
