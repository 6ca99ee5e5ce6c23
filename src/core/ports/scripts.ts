/**
 * The port of scripts that run on the host, in a sandbox: no file, no network, no clock, no other script's
 * values. Only their limits and the values given to them decide what they can do.
 */

/** A JSON value. */
export type ScriptValue =
  | null
  | boolean
  | number
  | string
  | readonly ScriptValue[]
  | { readonly [name: string]: ScriptValue };

export interface ScriptLimits {
  /** Operations that the engine counts; a loop's turn is one or more. */
  readonly operationsMax: number;
  /** Length of one string that a script makes. */
  readonly stringBytesMax: number;
  /** What is printed beyond this is dropped. */
  readonly outputBytesMax: number;
  readonly timeoutMs: number;
}

export interface ScriptRequest {
  /** Source text. */
  readonly code: string;
  /** Constants of the script, by name. */
  readonly scope: Readonly<Record<string, ScriptValue>>;
  /** Functions without parameters that the script may call, by name, with what they return. */
  readonly functions?: Readonly<Record<string, ScriptValue>>;
  readonly limits: ScriptLimits;
}

/** `script`: it does not parse, or raised an error · `limit`: over a limit · `timeout`: killed at its time limit. */
export interface ScriptFailure {
  readonly kind: 'script' | 'limit' | 'timeout';
  /** One sentence for the script's author, without the position. */
  readonly message: string;
  /** From 1; null where no place of the source is to blame. */
  readonly line: number | null;
  readonly column: number | null;
}

export interface ScriptResult {
  /** What the script printed, each print with a line break; also of a script that failed. */
  readonly output: string;
  readonly isOutputTruncated: boolean;
  /** The value of the script's last expression; null without one, and for a script that failed. */
  readonly result: ScriptValue;
  readonly error: ScriptFailure | null;
}

export interface ScriptEngine {
  /**
   * Runs one script to its end. A failure of the script is a result, not an error. Raises `exhausted` when too
   * many scripts run or wait, `unavailable` after `close`, and the signal's reason as soon as it aborts, which
   * ends the script.
   */
  run(request: ScriptRequest, signal: AbortSignal): Promise<ScriptResult>;
  /** Ends running scripts. */
  close(): Promise<void>;
}
