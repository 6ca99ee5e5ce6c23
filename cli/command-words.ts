/** Where the words of a command begin: `exec web ls -la` needs no `--`, and `-la` is not ours. Pure. */
import type { Command, Option } from 'commander';

/**
 * The arguments with `--` before the second operand, unless one is there already: commander then takes what follows as it
 * is. `args` begin with the name of the command.
 *
 * Example: `exec -e A=1 web ls -la` → `exec -e A=1 web -- ls -la`.
 */
export function separated(command: Command, args: readonly string[]): readonly string[] {
  let operands = 0;
  for (let index = 1; index < args.length; index++) {
    const arg = args[index] ?? '';
    if (arg === '--') return args;
    if (arg.startsWith('-') && arg !== '-') {
      if (takesNext(command, arg)) index++;
      continue;
    }
    operands++;
    if (operands === 2) return [...args.slice(0, index), '--', ...args.slice(index)];
  }
  return args;
}

/** Whether the value of the option is the next argument. */
function takesNext({ options }: Command, arg: string): boolean {
  if (arg.startsWith('--')) return needsValue(options.find(({ long }) => long === arg));
  // Of `-iw`, the last flag may take the next argument; of `-w/tmp`, the rest is the value of the first.
  for (let index = 1; index < arg.length; index++) {
    const option = options.find(({ short }) => short === `-${arg[index]}`);
    if (needsValue(option)) return index === arg.length - 1;
  }
  return false;
}

function needsValue(option: Option | undefined): boolean {
  return option?.required === true;
}
