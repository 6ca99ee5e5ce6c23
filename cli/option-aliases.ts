/**
 * Second spellings of options, for what people know from docker and fly, and from the fields of the API. An alias works as
 * its option does; help and completion show only the option.
 */
import { type Command, Option } from 'commander';

/** Lets `alias`, such as `--vcpus`, stand for the option `long`, such as `--cpus`, which the command must have. */
export function addAlias(command: Command, long: string, alias: string): Command {
  const option = command.options.find((each) => each.long === long);
  if (option === undefined) throw new Error(`${command.name()} has no option ${long}`);
  return command.addOption(new Alias(option, alias));
}

class Alias extends Option {
  readonly #attribute: string;

  constructor(option: Option, alias: string) {
    super(option.flags.replace(/^.*?--[\w-]+/, alias), option.description);
    this.#attribute = option.attributeName();
    this.hideHelp();
    if (option.argChoices !== undefined) this.choices(option.argChoices);
    if (option.parseArg !== undefined) this.argParser(option.parseArg);
  }

  override attributeName(): string {
    return this.#attribute;
  }
}
