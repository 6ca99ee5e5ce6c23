/** Where the words of a command begin: `exec web ls -la` needs no `--`, and `-la` is not ours. Pure. */
import type { Command, Option } from 'commander';

/** In place of the first operand, which names an image. */
const insteadOfImage = /^--(?:template|from-snapshot)(=|$)/;

/**
 * The arguments with `--` before the command's words, unless one is there already: commander then takes what follows as
 * it is. They begin with the second operand, or with the first after `--template` or
 * `--from-snapshot`. `args` begin with the name of the
 * command.
 *
 * Examples: `exec -e A=1 web ls -la` → `exec -e A=1 web -- ls -la`, `run --template t ls -la` → `run --template t -- ls -la`.
 */
export function separated(command: Command, args: readonly string[]): readonly string[] {
  let operandsLeft = 2;
  for (let index = 1; index < args.length; index++) {
    const arg = args[index] ?? '';
    if (arg === '--') return args;
    if (arg.startsWith('-') && arg !== '-') {
      if (insteadOfImage.test(arg)) operandsLeft--;
      if (takesNext(command, arg)) index++;
      continue;
    }
    operandsLeft--;
    if (operandsLeft === 0) return [...args.slice(0, index), '--', ...args.slice(index)];
  }
  return args;
}

/**
 * The arguments with docker's `--rm=false` and `--rm=true` as flags: an option without a value, its `--no-` form, or nothing. What
 * follows `--` stays as it is.
 */
export function withoutBooleans(command: Command, args: readonly string[]): readonly string[] {
  const has = (flag: string) => command.options.some((option) => option.long === flag && !needsValue(option));
  const end = args.indexOf('--');
  return args.flatMap((arg, index) => {
    const [, name = '', value] = /^--([\w-]+)=(true|false)$/.exec(arg) ?? [];
    const [flag, negated] = [`--${name}`, `--no-${name}`];
    const isOurs = end < 0 || index < end;
    if (value === undefined || !isOurs || !(has(flag) || has(negated))) return [arg];
    const wanted = value === 'true' ? flag : negated;
    return has(wanted) ? [wanted] : [];
  });
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
