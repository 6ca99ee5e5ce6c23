#!/usr/bin/env node
/**
 * The command line of Flotilla: everything that goes through the API. Exit codes are in `exit-codes.ts`; what a
 * command prints for programs goes to stdout, everything said to people about it to stderr.
 */
import { runCommandLine } from './command-line.ts';

const { env, stdin, stdout, stderr } = process;
process.exit(
  await runCommandLine(process.argv.slice(2), {
    ...{ env, stdin, stdout, stderr },
    onSignal: (signal, listener) => process.on(signal, listener),
    exit: (code) => process.exit(code),
  }),
);
