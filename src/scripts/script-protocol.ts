/** What the daemon gives to a script's thread (script-worker.ts), and what the thread answers: one message. */
import type { ScriptFailure, ScriptValue } from '../core/ports/scripts.ts';

export interface ScriptThreadData {
  readonly module: WebAssembly.Module;
  /** For the module's `run`, as JSON; see script-engine/src/lib.rs. */
  readonly request: string;
  /** See PrintedText. Shared, so that what was printed is known of a script that had to be killed. */
  readonly printed: SharedArrayBuffer;
}

export type ScriptAnswer = { readonly result: ScriptValue } | { readonly error: ScriptFailure };
