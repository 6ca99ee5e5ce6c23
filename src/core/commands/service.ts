/**
 * Commands that outlive their caller, for tenants: they belong to the guest agent of a running machine and live as long as
 * its boot. Called by dialects; knows nothing of how a guest runs them.
 */

import { deadline } from '../../lib/abort.ts';
import { AppError, isAppError } from '../errors.ts';
import { type AnsweringDeps, type AnsweringMachine, findAnswering } from '../machines/answering.ts';
import type { Machine } from '../machines/machine.ts';
import { PerMachineLimit } from '../machines/per-machine-limit.ts';
import type { MachineService } from '../machines/service.ts';
import { decide } from '../machines/states.ts';
import { type Edges, guestOf } from '../machines/steps/context.ts';
import type { ExecOutcome, ExecRequest, GuestTarget } from '../ports/guest.ts';
import type { CommandOutput, GuestCommands, TerminalSize } from '../ports/guest-commands.ts';
import { boundOutput, neverRan } from './bound.ts';
import {
  type Command,
  type CommandsOf,
  CursorExpired,
  type OutputRequest,
  type RunningCommand,
  type StartCommand,
  type StartedCommand,
} from './command.ts';
import { Following } from './following.ts';
import { CommandStarter } from './starter.ts';

/** Readers and waiters of one machine's commands: a guest, its link and this host have limits. */
export const readersPerMachineMax = 128;
/** Other calls about one machine's commands that may be open. */
export const callsPerMachineMax = 64;
/** For a command whose output is read as it comes: its reader takes everything. */
const readBufferBytes = 256 * 1024;
/** Attempts to wait again after the link was lost. */
const waitsMax = 3;

export interface CommandServiceDeps extends AnsweringDeps {
  readonly edges: Edges;
  /** Runs commands that end with their caller, for older guest agents. */
  readonly exec: MachineService['exec'];
}

/**
 * All raise `not_found` (machine, command), `conflict` (the machine does not run), `invalid`, `exhausted`, and the errors of
 * `GuestCommands`.
 */
export class CommandService {
  readonly #deps: CommandServiceDeps;
  readonly #starter: CommandStarter;
  readonly #readers: PerMachineLimit;
  readonly #calls: PerMachineLimit;

  constructor(deps: CommandServiceDeps) {
    this.#deps = deps;
    const limit = (max: number, what: string) =>
      new PerMachineLimit(deps.activity, max, (id) => tooMany(id, `${max} ${what}`));
    this.#readers = limit(readersPerMachineMax, 'readers of commands');
    this.#calls = limit(callsPerMachineMax, 'open calls about commands');
    this.#starter = new CommandStarter(deps.edges);
  }

  /** Raises what every other call would: the machine does not exist, is on another host, or does not run. */
  async check(of: CommandsOf): Promise<void> {
    await this.#running(of);
  }

  /**
   * Starts a command that nobody reads yet. With `stdin`, resolves when the command has taken it; if that fails, the
   * command is ended. When nobody can tell whether it started, the error says so and names the id.
   */
  async start(of: CommandsOf, request: StartCommand, signal: AbortSignal): Promise<StartedCommand> {
    return this.#call(of, async ({ machine, target }) => {
      const started = await this.#starter.start(machine, target, request, undefined, signal);
      if (request.stdin !== undefined) await this.#starter.feedFirst(target, started.id, request, signal);
      return started;
    });
  }

  /**
   * Starts a command and follows its output from the beginning. Leaving the output early does not affect the command,
   * unless it has not taken all its `stdin` yet: then it is ended, because part of an input is not the input. A program that
   * cannot be run gives the output of a shell. If the guest agent is too old to own commands, it ends with its output.
   */
  async run(of: CommandsOf, request: StartCommand, signal: AbortSignal): Promise<RunningCommand> {
    const { machine, target } = await this.#running(of);
    const free = this.#readers.take(machine.id);
    try {
      return await this.#run(machine, target, request, free, signal);
    } catch (error) {
      free();
      const exitCode = isAppError(error, 'invalid') ? error.details?.exitCode : undefined;
      const unowned = { id: null, pid: null, machineId: machine.id };
      if (isAppError(error) && typeof exitCode === 'number')
        return { ...unowned, events: neverRan(error.message, exitCode) };
      const bound = isAppError(error, 'unsupported') ? toExecRequest(request) : null;
      if (bound === null) throw error;
      return { ...unowned, events: boundOutput(await this.#deps.exec(of.tenant, machine.id, bound, signal)) };
    }
  }

  /** Oldest first. */
  async list(of: CommandsOf, signal: AbortSignal): Promise<readonly Command[]> {
    return this.#call(of, (place) => this.#listed(place, signal));
  }

  async get(of: CommandsOf, id: string, signal: AbortSignal): Promise<Command> {
    return this.#call(of, (place) => this.#found(place, id, signal));
  }

  /**
   * The output from a cursor on. Raises CursorExpired when it is no longer kept, also while it is read. Iterate it, or
   * return early.
   */
  async output(of: CommandsOf, id: string, request: OutputRequest, signal: AbortSignal) {
    const place = await this.#running(of);
    const free = this.#readers.take(place.machine.id);
    try {
      const command = await this.#found(place, id, signal);
      if (command.firstOffset > request.from) throw new CursorExpired(request.from, command.firstOffset);
      const events = await this.#follow(place.target, id, request, command, free, signal);
      return { command, events, until: command.outcome === null ? events.until : command.nextOffset };
    } catch (error) {
      free();
      throw error;
    }
  }

  /** Resolves when the command has ended. Raises `timeout` after `timeoutMs`. */
  async wait(of: CommandsOf, id: string, timeoutMs: number, signal: AbortSignal): Promise<Command> {
    const place = await this.#running(of);
    const free = this.#readers.take(place.machine.id);
    const late = () =>
      new AppError('timeout', `command ${id} did not end within ${timeoutMs / 1000} s`, {
        hint: 'Wait again; the command runs on.',
      });
    const limit = deadline(timeoutMs, late, signal);
    try {
      const command = await this.#found(place, id, limit.signal);
      if (command.outcome !== null) return command;
      return await this.#waited(of, place, id, limit.signal);
    } finally {
      limit.clear();
      free();
    }
  }

  /** To its process group; `name` without SIG. */
  async signal(of: CommandsOf, id: string, name: string, signal: AbortSignal): Promise<void> {
    await this.#call(of, ({ target }) => this.#guest.signal(target, id, name, signal), id);
  }

  /** Passes on standard input as the command takes it; `isEnd` closes it afterwards. */
  async feed(
    of: CommandsOf,
    id: string,
    data: AsyncIterable<Uint8Array>,
    isEnd: boolean,
    signal: AbortSignal,
  ): Promise<void> {
    await this.#call(
      of,
      async ({ target }) => {
        for await (const piece of data) await this.#guest.feed(target, id, piece, false, signal);
        if (isEnd) await this.#guest.feed(target, id, new Uint8Array(), true, signal);
      },
      id,
    );
  }

  async resize(of: CommandsOf, id: string, size: TerminalSize, signal: AbortSignal): Promise<void> {
    await this.#call(of, ({ target }) => this.#guest.resize(target, id, size, signal), id);
  }

  /** Ends the command with everything it started, if it still runs, and drops its output. */
  async delete(of: CommandsOf, id: string, signal: AbortSignal): Promise<void> {
    await this.#call(of, ({ target }) => this.#guest.forget(target, id, signal), id);
  }

  get #guest(): GuestCommands {
    return this.#deps.edges.guest.commands;
  }

  async #run(
    machine: Machine,
    target: GuestTarget,
    request: StartCommand,
    free: () => void,
    signal: AbortSignal,
  ): Promise<RunningCommand> {
    const started = await this.#starter.start(machine, target, request, readBufferBytes, signal);
    const feeding = new AbortController();
    const onEnd = () => {
      free();
      feeding.abort(new AppError('unavailable', 'nobody reads the command any more'));
    };
    const follow: OutputRequest = { from: 0, isFollowed: true };
    const events = await this.#follow(target, started.id, follow, null, onEnd, signal).catch(
      (error: unknown) => {
        throw isAppError(error, 'not_found') ? droppedUnread(started.id) : error;
      },
    );
    if (request.stdin !== undefined)
      this.#starter
        .feedFirst(target, started.id, request, feeding.signal)
        .catch((error: unknown) =>
          this.#deps.edges.log.info({ command: started.id, reason: String(error) }, 'standard input was cut'),
        );
    return { ...started, events };
  }

  async #follow(
    target: GuestTarget,
    id: string,
    request: OutputRequest,
    command: Command | null,
    onEnd: () => void,
    signal: AbortSignal,
  ): Promise<Following> {
    const output = await this.#guest.attach(target, id, request.from, signal);
    const { bounds } = output;
    if (bounds !== null && bounds.firstOffset > request.from) {
      await output[Symbol.asyncIterator]().return?.();
      throw new CursorExpired(request.from, bounds.firstOffset);
    }
    const start = request.from === 0 ? { stdout: 0, stderr: 0 } : null;
    const isEnded = command !== null && command.outcome !== null;
    return new Following({
      ...request,
      output,
      until: request.isFollowed || isEnded ? null : ((bounds ?? command)?.nextOffset ?? null),
      before: bounds === null ? start : { stdout: bounds.stdoutBefore, stderr: bounds.stderrBefore },
      reattach: (cursor, lost) => this.#reattach(target, id, cursor, lost, signal),
      onEnd,
    });
  }

  async #reattach(
    { incarnation, machineId }: GuestTarget,
    id: string,
    cursor: number,
    lost: unknown,
    signal: AbortSignal,
  ): Promise<CommandOutput | ExecOutcome> {
    if (signal.aborted) throw lost;
    const machine = await this.#deps.store.machines.get(machineId);
    const isSameBoot = machine?.incarnation === incarnation && machine.handle !== null;
    if (!isSameBoot) return { outcome: 'unknown', reason: 'the machine has stopped' };
    // Paused, or about to stop: the reader may come again.
    if (decide('exec', machine.state).verdict !== 'accept') throw lost;
    const output = await this.#guest.attach(guestOf(machine), id, cursor, signal);
    if (output.bounds === null || output.bounds.firstOffset <= cursor) return output;
    await output[Symbol.asyncIterator]().return?.();
    throw new CursorExpired(cursor, output.bounds.firstOffset);
  }

  async #waited(of: CommandsOf, place: AnsweringMachine, id: string, signal: AbortSignal): Promise<Command> {
    for (let attempt = 1; ; attempt += 1) {
      try {
        await this.#guest.wait(place.target, id, signal);
        return await this.#found(place, id, signal);
      } catch (error) {
        if (!isAppError(error, 'guest') || attempt === waitsMax || signal.aborted) throw error;
        const { target } = await this.#running(of);
        if (target.incarnation !== place.target.incarnation) throw noCommand(id);
        const command = await this.#found(place, id, signal);
        if (command.outcome !== null) return command;
      }
    }
  }

  async #listed({ machine, target }: AnsweringMachine, signal: AbortSignal): Promise<readonly Command[]> {
    const listed = await this.#guest.list(target, signal);
    return listed.map((each) => ({ ...each, machineId: machine.id }));
  }

  async #found(place: AnsweringMachine, id: string, signal: AbortSignal): Promise<Command> {
    const found = (await this.#listed(place, signal)).find((each) => each.id === id);
    if (found === undefined) throw noCommand(id);
    return found;
  }

  /** `id`: the command that the call is about. */
  async #call<T>(of: CommandsOf, act: (place: AnsweringMachine) => Promise<T>, id?: string): Promise<T> {
    const place = await this.#running(of);
    const free = this.#calls.take(place.machine.id);
    try {
      return await act(place);
    } catch (error) {
      throw id !== undefined && isAppError(error, 'not_found') ? noCommand(id) : error;
    } finally {
      free();
    }
  }

  #running({ tenant, machine }: CommandsOf): Promise<AnsweringMachine> {
    return findAnswering(this.#deps, tenant, machine);
  }
}

/** For an agent that owns no commands; null for what only an owned one can do. */
function toExecRequest({
  stdin,
  isStdinOpen,
  terminal,
  timeoutMs,
  ...request
}: StartCommand): ExecRequest | null {
  if (isStdinOpen || terminal !== undefined || timeoutMs === undefined) return null;
  return { ...request, timeoutMs, ...(stdin === undefined ? {} : { stdin: once(stdin) }) };
}

async function* once(data: Uint8Array): AsyncGenerator<Uint8Array> {
  yield data;
}

function noCommand(id: string): AppError {
  return new AppError('not_found', `no such command: ${id}`, {
    hint: 'Commands are kept until they are deleted, their place is needed, or their machine stops.',
  });
}

function tooMany(machineId: string, what: string): AppError {
  return new AppError('exhausted', `machine ${machineId} has ${what} already`, {
    hint: 'Wait for one to end.',
  });
}

/** It is not the caller's mistake: the guest had to keep it until it was read. */
function droppedUnread(id: string): AppError {
  return new AppError('guest', `the guest dropped command ${id} and its output before it was read`, {
    isMaybeDone: true,
    details: { exec_id: id },
    hint: 'It ran; how it ended is unknown. Run fewer commands at once.',
  });
}
