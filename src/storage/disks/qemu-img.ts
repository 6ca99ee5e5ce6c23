/** Runs qemu-img as the machine's own user, without capabilities. */
import { ProcessError, run } from '../../lib/process.ts';

/** It takes 10 to 30 ms; the limit is for a hanging disk. */
const timeoutMs = 30_000;

export class QemuImg {
  readonly #program: string;
  readonly #uidBase: number | null;

  /** `uidBase`: the user of slot n is `uidBase + n`. Null: ourselves. */
  constructor(program: string, uidBase: number | null) {
    this.#program = program;
    this.#uidBase = uidBase;
  }

  /** Raises ProcessError. */
  async run(args: readonly string[], slot: number, signal: AbortSignal): Promise<void> {
    const options = { timeoutMs, signal };
    if (this.#uidBase === null) {
      await run(this.#program, args, options);
      return;
    }
    const id = this.#uidBase + slot;
    const user = [`--reuid=${id}`, `--regid=${id}`, '--clear-groups', '--no-new-privs', '--inh-caps=-all'];
    const program = ['--bounding-set=-all', '--', this.#program, ...args];
    await run('setpriv', [...user, ...program], options).catch((error: unknown) => {
      throw error instanceof ProcessError ? error.as(this.#program) : error;
    });
  }
}
