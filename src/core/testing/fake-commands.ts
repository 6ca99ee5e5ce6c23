/**
 * The commands of a fake guest, with the semantics of the guest agent's: a ring of output, backpressure, kept outcomes. What
 * they do is up to the test.
 */
import { AppError } from '../errors.ts';
import type { ExecEvent, ExecOutcome, GuestTarget } from '../ports/guest.ts';
import type {
  CommandEvent,
  CommandInfo,
  CommandOutput,
  CommandRequest,
  GuestCommands,
  TerminalSize,
} from '../ports/guest-commands.ts';

const ownedMax = 64;
const bufferBytesDefault = 1024 * 1024;
const bufferBytesMin = 131_200;
/** Signals that end a program which does not handle them. */
const deadly = ['TERM', 'KILL', 'INT', 'HUP', 'QUIT'];

/** What a command does. It may go on after this returns. */
export type FakeCommandProgram = (command: FakeCommand) => void;

export class FakeGuestCommands implements GuestCommands {
  /** What the next commands do. */
  program: FakeCommandProgram;
  /** Thrown by the next such call. */
  readonly failures = new Map<keyof GuestCommands, Error>();
  /** By incarnation; a machine that stops loses them. */
  readonly #commands = new Map<string, FakeCommand[]>();

  constructor(program: FakeCommandProgram) {
    this.program = program;
  }

  async start(target: GuestTarget, request: CommandRequest): Promise<{ readonly pid: number }> {
    this.#mayFail('start');
    const owned = this.#commands.get(target.incarnation) ?? [];
    this.#commands.set(target.incarnation, owned);
    if (owned.some(({ request: { id } }) => id === request.id))
      throw new AppError('conflict', 'a command with this id is known already');
    const oldest = owned.findIndex((each) => each.outcome !== null);
    if (owned.length === ownedMax && oldest < 0) throw new AppError('exhausted', 'too many commands');
    if (owned.length === ownedMax) owned.splice(oldest, 1);
    const command = new FakeCommand(request);
    owned.push(command);
    try {
      this.program(command);
    } catch (error) {
      owned.splice(owned.indexOf(command), 1);
      throw error;
    }
    return { pid: command.pid };
  }

  async attach(target: GuestTarget, id: string, offset: number, signal: AbortSignal): Promise<CommandOutput> {
    this.#mayFail('attach');
    return this.find(target.incarnation, id).attach(offset, signal);
  }

  async wait(target: GuestTarget, id: string, signal: AbortSignal): Promise<ExecOutcome> {
    this.#mayFail('wait');
    return this.find(target.incarnation, id).ended(signal);
  }

  async feed(
    target: GuestTarget,
    id: string,
    data: Uint8Array,
    isEnd: boolean,
    _signal?: AbortSignal,
  ): Promise<void> {
    this.#mayFail('feed');
    const command = this.find(target.incarnation, id);
    if (!command.takesInput) throw new AppError('conflict', 'the command takes no standard input');
    command.fed += data.length;
    if (data.length > 0) command.onInput(data);
    if (isEnd) command.endInput();
  }

  async signal(target: GuestTarget, id: string, name: string): Promise<void> {
    this.#mayFail('signal');
    const command = this.find(target.incarnation, id);
    if (command.outcome !== null) throw new AppError('conflict', 'the command has ended');
    command.signals.push(name);
    command.onSignal(name);
  }

  async resize(target: GuestTarget, id: string, size: TerminalSize): Promise<void> {
    this.#mayFail('resize');
    const command = this.find(target.incarnation, id);
    if (command.size === null) throw new AppError('conflict', 'the command has no terminal');
    command.size = size;
    command.onResize(size);
  }

  async list({ incarnation }: GuestTarget): Promise<readonly CommandInfo[]> {
    this.#mayFail('list');
    return (this.#commands.get(incarnation) ?? []).map((each) => each.info());
  }

  async forget(target: GuestTarget, id: string): Promise<void> {
    this.#mayFail('forget');
    const command = this.find(target.incarnation, id);
    command.end({ outcome: 'signalled', signal: 'KILL' });
    const owned = this.#commands.get(target.incarnation) ?? [];
    owned.splice(owned.indexOf(command), 1);
  }

  /** All commands of all guests. */
  all(): readonly FakeCommand[] {
    return [...this.#commands.values()].flat();
  }

  /** Raises `not_found`. */
  find(incarnation: string, id: string): FakeCommand {
    const found = this.#commands.get(incarnation)?.find(({ request }) => request.id === id);
    if (found === undefined) throw new AppError('not_found', `no such command: ${id}`);
    return found;
  }

  /** Ends the attachments of all commands, as a lost link does. */
  loseLink(): void {
    for (const command of this.all()) command.loseReaders(new AppError('guest', 'the link was lost'));
  }

  #mayFail(call: keyof GuestCommands): void {
    const failure = this.failures.get(call);
    this.failures.delete(call);
    if (failure !== undefined) throw failure;
  }
}

interface Piece {
  readonly stream: 'stdout' | 'stderr';
  readonly offset: number;
  readonly data: Uint8Array;
}

interface Reader {
  taken: number;
  failure: Error | null;
}

export class FakeCommand {
  readonly request: CommandRequest;
  readonly pid = 4711;
  readonly signals: string[] = [];
  readonly #startedAtMs = Date.now();
  readonly #timer: NodeJS.Timeout | undefined;
  readonly #readers = new Set<Reader>();
  readonly #written = { stdout: 0, stderr: 0 };
  #pieces: Piece[] = [];
  #next = 0;
  #endedAtMs: number | null = null;
  #isInputEnded = false;
  /** Its output is kept for the first reader. */
  #isHeld: boolean;
  #changed = Promise.withResolvers<void>();
  outcome: ExecOutcome | null = null;
  size: TerminalSize | null;
  /** Bytes of standard input that it has taken. */
  fed = 0;
  /** What it does with standard input. */
  onInput: (data: Uint8Array) => void = () => undefined;
  onInputEnd: () => void = () => undefined;
  onResize: (size: TerminalSize) => void = () => undefined;
  onSignal: (name: string) => void = (name) => {
    if (deadly.includes(name)) this.end({ outcome: 'signalled', signal: name });
  };

  constructor(request: CommandRequest) {
    this.request = request;
    this.size = request.terminal ?? null;
    this.#isHeld = request.isHeld ?? false;
    if (request.timeoutMs === undefined) return;
    this.#timer = setTimeout(() => this.end({ outcome: 'timed_out' }), request.timeoutMs);
    this.#timer.unref();
  }

  /** Writes and ends as these events say; without an outcome it runs on. */
  play(events: readonly ExecEvent[]): void {
    for (const event of events) {
      if (event.type === 'outcome') this.end(event.outcome);
      else this.write(event.type, event.data);
    }
  }

  /** Does not wait for readers that hold what there is no room for: it keeps more. */
  write(stream: 'stdout' | 'stderr', data: Uint8Array | string): void {
    const bytes = typeof data === 'string' ? Buffer.from(data) : data;
    if (this.outcome !== null || bytes.length === 0) return;
    this.#pieces.push({ stream, offset: this.#next, data: bytes });
    this.#next += bytes.length;
    this.#written[stream] += bytes.length;
    this.#drop();
    this.#wake();
  }

  end(outcome: ExecOutcome): void {
    if (this.outcome !== null) return;
    clearTimeout(this.#timer);
    this.outcome = outcome;
    this.#endedAtMs = Date.now();
    this.#wake();
  }

  get takesInput(): boolean {
    return this.request.hasStdin === true && !this.#isInputEnded && this.outcome === null;
  }

  endInput(): void {
    this.#isInputEnded = true;
    this.onInputEnd();
  }

  get readers(): number {
    return this.#readers.size;
  }

  loseReaders(failure: Error): void {
    for (const reader of this.#readers) reader.failure = failure;
    this.#wake();
  }

  async ended(signal: AbortSignal): Promise<ExecOutcome> {
    while (this.outcome === null) await this.#change(signal);
    return this.outcome;
  }

  info(): CommandInfo {
    const { id, argv } = this.request;
    return {
      ...{ id, program: argv[0] ?? '', words: argv, argc: argv.length, pid: this.pid },
      ...{ hasTerminal: this.size !== null, startedAtMs: this.#startedAtMs, endedAtMs: this.#endedAtMs },
      ...{ firstOffset: this.#first, nextOffset: this.#next, outcome: this.outcome },
      ...{ stdoutBytes: this.#written.stdout, stderrBytes: this.#written.stderr },
    };
  }

  attach(offset: number, signal: AbortSignal): CommandOutput {
    if (offset > this.#next) throw new AppError('invalid', 'offset is ahead of the command’s output');
    this.#isHeld = false;
    const reader: Reader = { taken: offset, failure: null };
    this.#readers.add(reader);
    const start = Math.max(offset, this.#first);
    const before = (stream: 'stdout' | 'stderr') =>
      this.#written[stream] -
      this.#pieces
        .filter((piece) => piece.stream === stream)
        .reduce((sum, { offset: at, data }) => sum + Math.max(0, at + data.length - Math.max(at, start)), 0);
    const bounds = {
      ...{ firstOffset: this.#first, nextOffset: this.#next },
      ...{ stdoutBefore: before('stdout'), stderrBefore: before('stderr'), stdinTaken: this.fed },
    };
    let next = offset;
    const read = async (): Promise<IteratorResult<CommandEvent>> => {
      reader.taken = next;
      for (;;) {
        if (reader.failure !== null) throw reader.failure;
        if (!this.#readers.has(reader)) return { done: true, value: undefined };
        const event = this.#eventAt(next);
        if (event === null) await this.#change(signal);
        else if (event.type === 'outcome') return leave(event);
        else {
          next += event.type === 'lost' ? event.bytes : event.data.length;
          return { done: false, value: event };
        }
      }
    };
    const leave = (value: CommandEvent): IteratorResult<CommandEvent> => {
      this.#readers.delete(reader);
      return { done: false, value };
    };
    return {
      bounds,
      [Symbol.asyncIterator]: () => ({
        next: () => read(),
        return: async () => {
          this.#readers.delete(reader);
          this.#wake();
          return { done: true, value: undefined };
        },
      }),
    };
  }

  get #first(): number {
    return this.#pieces[0]?.offset ?? this.#next;
  }

  #eventAt(offset: number): CommandEvent | null {
    if (offset < this.#first) return { type: 'lost', bytes: this.#first - offset };
    const piece = this.#pieces.find(({ offset: at, data }) => at + data.length > offset);
    if (piece !== undefined)
      return { type: piece.stream, data: piece.data.subarray(offset - piece.offset), offset };
    return this.outcome === null ? null : { type: 'outcome', outcome: this.outcome };
  }

  #drop(): void {
    if (this.#isHeld) return;
    const capacity = Math.max(bufferBytesMin, this.request.bufferBytes ?? bufferBytesDefault);
    const held = Math.min(this.#next, ...[...this.#readers].map(({ taken }) => taken));
    const from = Math.min(held, this.#next - capacity);
    this.#pieces = this.#pieces.flatMap((piece) => {
      const gone = Math.min(piece.data.length, Math.max(0, from - piece.offset));
      if (gone === piece.data.length) return [];
      return [{ ...piece, offset: piece.offset + gone, data: piece.data.subarray(gone) }];
    });
  }

  async #change(signal: AbortSignal): Promise<void> {
    const changed = this.#changed.promise;
    const aborted = Promise.withResolvers<never>();
    const onAbort = () => aborted.reject(signal.reason);
    if (signal.aborted) onAbort();
    signal.addEventListener('abort', onAbort, { once: true });
    try {
      await Promise.race([changed, aborted.promise]);
    } finally {
      signal.removeEventListener('abort', onAbort);
    }
  }

  #wake(): void {
    this.#changed.resolve();
    this.#changed = Promise.withResolvers();
  }
}
