/** Shows what set-up is doing and how long each step took. */

export interface Progress {
  step(name: string): StepProgress;
}

export interface StepProgress {
  /** The step's current state, in a few words. */
  update(text: string): void;
  done(text?: string): void;
  fail(text: string): void;
}

export interface ProgressOutput {
  write(text: string): unknown;
  readonly isTTY?: boolean;
  readonly columns?: number;
}

export interface RendererOptions {
  /** Milliseconds since any fixed point. Default: the process's monotonic clock. */
  readonly now?: () => number;
}

/** Interval of lines about a running step when the output is not a terminal. */
const plainUpdateMs = 10_000;
const nameWidth = 22;

/**
 * Prints to `output` (standard error): on a terminal one line that is rewritten, otherwise few whole lines.
 */
export function createProgress(output: ProgressOutput, options: RendererOptions = {}): Progress {
  const now = options.now ?? (() => performance.now());
  return output.isTTY ? new TerminalProgress(output, now) : new PlainProgress(output, now);
}

/** Prints nothing. */
export const silentProgress: Progress = {
  step: () => ({ update: () => undefined, done: () => undefined, fail: () => undefined }),
};

/** `0.04 s`, `3.2 s`, `75 s`. */
export function formatDuration(ms: number): string {
  const seconds = ms / 1000;
  return `${seconds < 1 ? seconds.toFixed(2) : seconds < 20 ? seconds.toFixed(1) : seconds.toFixed(0)} s`;
}

// Program output may contain escape sequences, which must not reach the terminal.
function clean(text: string): string {
  return text.replace(/\p{Cc}+/gu, ' ').trim();
}

/** As wide as the longest mark of plain lines, so that names stand below one another. */
const markWidth = 'failed'.length;

function finalLine(mark: string, name: string, text: string | undefined, ms: number): string {
  const said = text ? `  ${clean(text)}` : '';
  return `${mark} ${name.padEnd(nameWidth)} ${formatDuration(ms).padStart(7)}${said}\n`;
}

class PlainProgress implements Progress {
  readonly #output: ProgressOutput;
  readonly #now: () => number;

  constructor(output: ProgressOutput, now: () => number) {
    this.#output = output;
    this.#now = now;
  }

  step(name: string): StepProgress {
    const startedAt = this.#now();
    let saidAt = startedAt;
    const end = (mark: string, text?: string) =>
      void this.#output.write(finalLine(mark.padEnd(markWidth), name, text, this.#now() - startedAt));
    return {
      update: (text) => {
        if (this.#now() - saidAt < plainUpdateMs) return;
        saidAt = this.#now();
        this.#output.write(`${'-'.padEnd(markWidth)} ${name.padEnd(nameWidth)} ${clean(text)}\n`);
      },
      done: (text) => end('ok', text),
      fail: (text) => end('failed', text),
    };
  }
}

interface RunningStep {
  readonly name: string;
  readonly startedAt: number;
  text: string;
}

/** Keeps one line at the bottom for the latest step; completed steps scroll up above it. */
class TerminalProgress implements Progress {
  readonly #output: ProgressOutput;
  readonly #now: () => number;
  readonly #running = new Set<RunningStep>();

  constructor(output: ProgressOutput, now: () => number) {
    this.#output = output;
    this.#now = now;
  }

  step(name: string): StepProgress {
    const step: RunningStep = { name, startedAt: this.#now(), text: '' };
    this.#running.add(step);
    this.#draw(step);
    return {
      update: (text) => {
        step.text = clean(text);
        this.#draw(step);
      },
      done: (text) => this.#end(step, '\x1b[32m✓\x1b[0m', text),
      fail: (text) => this.#end(step, '\x1b[31m✗\x1b[0m', text),
    };
  }

  #end(step: RunningStep, mark: string, text?: string): void {
    this.#running.delete(step);
    this.#output.write(`\r\x1b[K${finalLine(mark, step.name, text, this.#now() - step.startedAt)}`);
    const last = [...this.#running].at(-1);
    if (last) this.#draw(last);
  }

  #draw(step: RunningStep): void {
    const elapsed = formatDuration(this.#now() - step.startedAt);
    const line = `· ${step.name.padEnd(nameWidth)} ${elapsed.padStart(7)}  ${step.text}`;
    this.#output.write(`\r\x1b[K${line.slice(0, (this.#output.columns ?? 80) - 1)}`);
  }
}
