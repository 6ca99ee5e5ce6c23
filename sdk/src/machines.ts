/** Machines: life cycle, and commands in them. */
import { type AnswerOf, type CallArguments, call, type OperationId, requestOf } from './call.ts';
import { type FollowConsoleOptions, followConsole } from './console.ts';
import { deadlinesMs } from './deadlines.ts';
import { execBody, execTimeoutSecondsDefault, streamExec } from './exec-stream.ts';
import { operationTable } from './generated/operations.ts';
import { type LaunchMachine, launch, type MachineHandle } from './handle.ts';
import type { StreamOptions } from './stream.ts';
import { type CallOptions, invalidArgument, type Transport } from './transport.ts';
import type {
  ConsoleQuery,
  CreateMachine,
  ExecEvent,
  ExecRequest,
  ExecResult,
  Machine,
  MachineList,
  MachineListQuery,
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
    return launch(this, machine, options);
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
  start(id: string, options?: ActionOptions): Promise<Machine> {
    return this.#call('startMachine', actionArguments(id, options), deadlinesMs.start, options);
  }

  stop(id: string, options?: ActionOptions): Promise<Machine> {
    return this.#call('stopMachine', actionArguments(id, options), deadlinesMs.stop, options);
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
  resume(id: string, options?: ActionOptions): Promise<Machine> {
    return this.#call('resumeMachine', actionArguments(id, options), deadlinesMs.start, options);
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
    return this.#call('execInMachine', given, seconds * 1000 + execGraceMs, options);
  }

  /** Runs a command and yields its output as it comes, then its outcome; see `exec-stream.ts`. */
  execStream(
    id: string,
    request: ExecRequest,
    options: StreamOptions = {},
  ): AsyncGenerator<ExecEvent, void, undefined> {
    return streamExec(this.#transport, id, request, options);
  }

  /** Returns the last `lines` lines of the machine's console. The guest controls this text. */
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
}

function actionArguments(id: string, options?: ActionOptions) {
  return { path: { id }, query: options?.idempotent === true ? ({ idempotent: true } as const) : {} };
}
