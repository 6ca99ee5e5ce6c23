/**
 * Which modes of our terminal a command in a machine has switched on: the alternate screen, a hidden cursor, the mouse. When
 * the command is left while it runs, nobody else switches them off. Used by `session.ts`.
 */

/** Modes of `CSI ? n h`, in the order in which they are undone: the alternate screen last, so that the rest counts for both. */
const undone: ReadonlyMap<number, string> = new Map([
  // Keys of the cursor and focus.
  ...[1, 1004, 2004].map((mode) => [mode, `\u001b[?${mode}l`] as const),
  // The mouse.
  ...[9, 1000, 1002, 1003, 1005, 1006, 1015].map((mode) => [mode, `\u001b[?${mode}l`] as const),
  // Scrolling in the other screen keeps it as it is.
  ...[47, 1047, 1049].map((mode) => [mode, `\u001b[?${mode}l`] as const),
]);
/** Shown unless it is hidden. */
const cursor = 25;
/** A sequence is no longer; what may be the beginning of one is kept for the next piece. */
const sequenceBytesMax = 64;

export class ScreenModes {
  readonly #on = new Set<number>();
  #isCursorHidden = false;
  #isPainted = false;
  #rest = '';

  /** Takes note of what the terminal is told. */
  saw(data: Uint8Array): void {
    const text = this.#rest + Buffer.from(data.buffer, data.byteOffset, data.byteLength).toString('latin1');
    const sequences = text.split('\u001b').slice(1);
    for (const sequence of sequences) {
      const [, modes = '', action = ''] = /^\[\?([\d;]+)([hl])/.exec(sequence) ?? [];
      for (const mode of modes.split(';').filter(Boolean).map(Number)) this.#set(mode, action === 'h');
      if (/^\[[\d;:]*m/.test(sequence)) this.#isPainted = true;
    }
    const last = sequences.at(-1);
    const isCut = last !== undefined && last.length < sequenceBytesMax && /^(?:\[[?\d;:]*)?$/.test(last);
    this.#rest = isCut ? `\u001b${last}` : '';
  }

  /** What makes the terminal a shell's again; empty when nothing is to be undone. */
  undo(): string {
    const off = [...undone].filter(([mode]) => this.#on.has(mode)).map(([, sequence]) => sequence);
    const colours = this.#isPainted ? '\u001b[m' : '';
    return colours + (this.#isCursorHidden ? `\u001b[?${cursor}h` : '') + off.join('');
  }

  /** What brings another terminal into the state that this one has. */
  redo(): string {
    const on = [...undone.keys()].filter((mode) => this.#on.has(mode)).map((mode) => `\u001b[?${mode}h`);
    return on.reverse().join('') + (this.#isCursorHidden ? `\u001b[?${cursor}l` : '');
  }

  /** Whether the command uses the alternate screen, which keeps what a shell showed before. */
  get isAlternate(): boolean {
    return [47, 1047, 1049].some((mode) => this.#on.has(mode));
  }

  #set(mode: number, isOn: boolean): void {
    if (mode === cursor) this.#isCursorHidden = !isOn;
    else if (isOn && undone.has(mode)) this.#on.add(mode);
    else this.#on.delete(mode);
  }
}
