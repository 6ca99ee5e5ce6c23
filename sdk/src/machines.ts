/** Machines: life cycle, and commands in them. */

import { type AnswerOf, type CallArguments, call, type OperationId, requestOf } from './call.ts';
import { type FollowConsoleOptions, followConsole } from './console.ts';
import { deadlinesMs } from './deadlines.ts';
import { type ExecStreamOptions, execBody, execTimeoutSecondsDefault, streamExec } from './exec-stream.ts';
import { Execs } from './execs.ts';
import { Files } from './files.ts';
import { operationTable } from './generated/operations.ts';
import { type LaunchMachine, launch, MachineHandle, type Rooms } from './handle.ts';
import { Snapshots } from './snapshots.ts';
import { startTerminal, type TerminalOptions, type TerminalSession } from './terminal.ts';
import { type CallOptions, invalidArgument, type Transport } from './transport.ts';
import type {
  ConsoleQuery,
  CreateMachine,
  ExecEvent,
  ExecRequest,
  ExecResult,
  ForkedMachines,
  ForkMachine,
  Machine,
  MachineList,
  MachineListQuery,
  MachineMetrics,
  StartExec,
  UpdateMachine,
  WaitQuery,
} from './types.ts';

const bufferedExecSecondsMax = 240;
const execGraceMs = 20_000;

export interface DeleteOptions extends CallOptions {
  /** Also deletes a running machine. */
  readonly force?: boolean | undefined;
}

export interface ActionOptions extends CallOptions {
  /** Also resolves when the machine is in that state already; waits for an operation under way. */
  readonly idempotent?: boolean | undefined;
}

export interface StopOptions extends ActionOptions {
  /** Also stops a suspended machine. */
  readonly force?: boolean | undefined;
}

export interface CancellableOptions extends ActionOptions {
  /** Cancels the operation on the server when this call is aborted or its connection is lost; else it continues. */
  readonly cancelOnDisconnect?: boolean | undefined;
}

/** All methods accept a machine's id or its unique name. */
export class Machines {
  readonly #transport: Transport;

  constructor(transport: Transport) {
    this.#transport = transport;
  }

  create(machine: CreateMachine, options?: CallOptions): Promise<Machine> {
    return this.#call('createMachine', { body: machine }, deadlinesMs.create, options);
  }

  /** Creates a machine and starts it; see `handle.ts`. */
  launch(machine: LaunchMachine = {}, options?: CallOptions): Promise<MachineHandle> {
    return launch(this, this.#rooms(), machine, options);
  }

  /** A machine that exists, as an object; see `handle.ts`. */
  async handle(idOrName: string, options?: CallOptions): Promise<MachineHandle> {
    return new MachineHandle(this, this.#rooms(), await this.get(idOrName, options));
  }

  /** Returns one page; `total` is the number of all machines. */
  list(query: MachineListQuery = {}, options?: CallOptions): Promise<MachineList> {
    return this.#call('listMachines', { query }, deadlinesMs.read, options);
  }

  get(id: string, options?: CallOptions): Promise<Machine> {
    return this.#call('getMachine', { path: { id } }, deadlinesMs.read, options);
  }

  /** Changes the fields that are given; the hardware only while it is stopped. */
  update(id: string, changes: UpdateMachine, options?: CallOptions): Promise<Machine> {
    return this.#call('updateMachine', { path: { id }, body: changes }, deadlinesMs.create, options);
  }

  /** Resolves when the guest answers. */
  start(id: string, options?: CancellableOptions): Promise<Machine> {
    return this.#call('startMachine', cancellableArguments(id, options), deadlinesMs.start, options);
  }

  /** `force` also stops a suspended machine, whose saved memory is lost. */
  stop(id: string, options: StopOptions = {}): Promise<Machine> {
    const { path, query } = actionArguments(id, options);
    const forced = options.force === true ? { force: true as const } : {};
    return this.#call('stopMachine', { path, query: { ...query, ...forced } }, deadlinesMs.stop, options);
  }

  /** Stops the guest, gracefully if possible, and starts it again; resolves when it answers. */
  restart(id: string, options?: CallOptions): Promise<Machine> {
    return this.#call('restartMachine', { path: { id } }, deadlinesMs.start, options);
  }

  /** Pauses the guest; its memory is kept until it is resumed. */
  pause(id: string, options?: ActionOptions): Promise<Machine> {
    return this.#call('pauseMachine', actionArguments(id, options), deadlinesMs.stop, options);
  }

  /** Resolves when the guest answers again. */
  resume(id: string, options?: CancellableOptions): Promise<Machine> {
    return this.#call('resumeMachine', cancellableArguments(id, options), deadlinesMs.start, options);
  }

  /** Saves the guest's memory on the disk and ends its VMM; `start` restores it. */
  suspend(id: string, options?: CancellableOptions): Promise<Machine> {
    return this.#call('suspendMachine', cancellableArguments(id, options), deadlinesMs.suspend, options);
  }

  /**
   * Makes machines that go on from this moment of the machine, which goes on as well. Fails when none was made; of those
   * that were, `error` says what is wrong with one.
   */
  fork(id: string, fork: ForkMachine = {}, options?: CallOptions): Promise<ForkedMachines> {
    return this.#call('forkMachine', { path: { id }, body: fork }, deadlinesMs.snapshot, options);
  }

  /**
   * Resolves when the machine reaches the status. Fails with status 504 after `timeout` seconds (1 to 30,
   * default 30), and with 400 as soon as the machine fails.
   */
  wait(id: string, query: WaitQuery, options?: CallOptions): Promise<Machine> {
    return this.#call('waitForMachine', { path: { id }, query }, deadlinesMs.wait, options);
  }

  delete(id: string, options: DeleteOptions = {}): Promise<void> {
    const query = options.force === true ? ({ force: true } as const) : {};
    return this.#call('deleteMachine', { path: { id }, query }, deadlinesMs.delete, options);
  }

  /**
   * Runs a command and resolves when it ends. For timeouts up to 240 s, and for output that fits into the
   * server's buffer.
   */
  async exec(id: string, request: ExecRequest, options?: CallOptions): Promise<ExecResult> {
    const seconds = request.timeout ?? execTimeoutSecondsDefault;
    if (seconds > bufferedExecSecondsMax) {
      throw invalidArgument(
        `a buffered exec waits at most ${bufferedExecSecondsMax} s for its answer`,
        'use execStream',
      );
    }
    const given = { path: { id }, body: execBody(request) };
    const answer = await this.#call('execInMachine', given, seconds * 1000 + execGraceMs, options);
    // Only a detached command, which `execBody` never is, has another answer.
    return answer as ExecResult;
  }

  /** Runs a command and yields its output as it comes, then its outcome; see `exec-stream.ts`. */
  execStream(
    id: string,
    request: ExecRequest | StartExec,
    options: ExecStreamOptions = {},
  ): AsyncGenerator<ExecEvent, void, undefined> {
    return streamExec(this.#transport, id, request, options);
  }

  /** Starts a command in a terminal, or with its streams apart, and talks with it; see `terminal.ts`. Default: a login shell. */
  terminal(id: string, options?: TerminalOptions): Promise<TerminalSession> {
    return startTerminal(this.#transport, id, options);
  }

  /** What the machine uses at this moment; what nobody measured is null. */
  metrics(id: string, options?: CallOptions): Promise<MachineMetrics> {
    return this.#call('getMachineMetrics', { path: { id } }, deadlinesMs.read, options);
  }

  /**
   * Returns the last `lines` lines of the machine's console, of its previous boot if `previous`. The guest
   * controls this text, except the time before each line if `timestamps`.
   */
  console(id: string, query: ConsoleQuery = {}, options?: CallOptions): Promise<string> {
    const request = requestOf('getMachineConsole', { path: { id }, query });
    const accept = operationTable.getMachineConsole.stream;
    return this.#transport.text({ ...request, accept }, deadlinesMs.read, options);
  }

  /** Yields console output as it comes, until the machine stops; see `console.ts`. */
  followConsole(id: string, options: FollowConsoleOptions = {}): AsyncGenerator<string, void, undefined> {
    return followConsole(this.#transport, id, options);
  }

  #call<Id extends OperationId>(
    id: Id,
    given: CallArguments<Id>,
    timeoutMs: number,
    options?: CallOptions,
  ): Promise<AnswerOf<Id>> {
    return call(this.#transport, id, given, timeoutMs, options);
  }

  #rooms(): Rooms {
    return {
      execs: new Execs(this.#transport),
      files: new Files(this.#transport),
      snapshots: new Snapshots(this.#transport),
    };
  }
}

function actionArguments(id: string, options?: ActionOptions) {
  return { path: { id }, query: options?.idempotent === true ? ({ idempotent: true } as const) : {} };
}

function cancellableArguments(id: string, options?: CancellableOptions) {
  const { path, query } = actionArguments(id, options);
  const cancel = options?.cancelOnDisconnect === true ? ({ cancel_on_disconnect: true } as const) : {};
  return { path, query: { ...query, ...cancel } };
}
