/** One deliberate fault, and the test that must catch it. */
export interface Mutation {
  /** The resulting error, as a user would report it. */
  readonly fault: string;
  /** The guarantee of `docs/guarantees.md` that the fault breaks. */
  readonly guarantee: string;
  readonly file: string;
  /** A piece of the file that occurs exactly once, and its replacement. */
  readonly from: string;
  readonly to: string;
  readonly caughtBy: CaughtBy;
}

export type CaughtBy =
  /** A vitest file, and part of the test's name. */
  | { readonly file: string; readonly test: string }
  /** A Go package below `guest-agent`, and the test function. */
  | { readonly go: string; readonly test: string };
